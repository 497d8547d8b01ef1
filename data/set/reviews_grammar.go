package set

import (
	"math/rand/v2"
	"strings"
)

// reviewVersion is the version of the grammar: the sentences of one seed change with it.
const reviewVersion = 1

// reviewNoise is the share of labels that are wrong.
const reviewNoise = .05

// reviewer draws the words of a sentence.
type reviewer struct{ r *rand.Rand }

func (g *reviewer) one(words []string) string { return words[g.r.IntN(len(words))] }

func (g *reviewer) chance(p float64) bool { return g.r.Float64() < p }

// of returns the good or the bad one of two lists.
func of(good bool, list [2][]string) []string {
	if good {
		return list[1]
	}
	return list[0]
}

// sentence returns a sentence that is good or bad as a whole.
func (g *reviewer) sentence(good bool) string {
	var s string
	switch u := g.r.Float64(); {
	case u < .45:
		s = g.opinion(good)
	case u < .70:
		s = g.opinion(good) + g.one(reviewAnd) + g.opinion(good)
	case u < .85:
		s = g.opinion(!good) + g.one(reviewBut) + g.opinion(good)
	default:
		s = g.one(reviewThough) + g.opinion(!good) + " , " + g.opinion(good)
	}
	if g.chance(.35) {
		s = g.one(reviewBefore) + " , " + s
	}
	if g.chance(.35) {
		s += " , " + g.one(reviewAfter)
	}
	return s + g.one(reviewEnds)
}

// opinion returns a clause that is good or bad.
func (g *reviewer) opinion(good bool) string {
	switch u := g.r.Float64(); {
	case u < .55:
		return g.one(reviewThings) + g.one(reviewIs) + g.quality(good)
	case u < .80: // "lacks charm" is bad, "lacks clichés" is good
		if has := g.chance(.7); has == good {
			return g.one(reviewThings) + g.having(has) + g.one(reviewNouns[1])
		} else {
			return g.one(reviewThings) + g.having(has) + g.one(reviewNouns[0])
		}
	default:
		if g.chance(.25) {
			return g.one(reviewWho) + g.one(reviewNot) + g.one(of(!good, reviewVerbs)) + " " + g.one(reviewThings)
		}
		return g.one(reviewWho) + " " + g.one(of(good, reviewVerbs)) + " " + g.one(reviewThings)
	}
}

// having returns a verb of having, or of lacking.
func (g *reviewer) having(has bool) string {
	if has {
		return g.one(reviewHas)
	}
	return g.one(reviewLacks)
}

// quality returns adjectives that are good or bad.
func (g *reviewer) quality(good bool) string {
	switch u := g.r.Float64(); {
	case u < .20:
		return g.one(reviewNegations) + g.one(of(!good, reviewAdjectives))
	case u < .55:
		return g.one(reviewDegrees) + g.one(of(good, reviewAdjectives))
	}
	return g.one(of(good, reviewAdjectives))
}

var (
	reviewThings = strings.Split("the film;the movie;the story;the plot;the acting;the script;the dialogue;the cast;the lead;the ending;"+
		"the opening;the music;the camera work;the direction;the second half;the first act;this drama;this comedy;this thriller;"+
		"this remake;the whole thing;the editing;the romance;every scene;the premise;the humor", ";")
	reviewIs = []string{" is ", " is ", " is ", " was ", " feels ", " seems "}

	reviewAdjectives = [2][]string{
		strings.Fields("dull bland tedious clumsy shallow predictable lifeless stale hollow pointless contrived messy boring awkward flat " +
			"forgettable sloppy lazy annoying tiresome incoherent weak generic dreary pretentious ugly muddled grating silly stiff cheap " +
			"overlong"),
		strings.Fields("charming moving gripping clever touching fresh funny brilliant elegant warm inventive honest vivid graceful " +
			"thrilling tender delightful sharp memorable engaging witty superb lovely absorbing smart beautiful powerful heartfelt daring " +
			"satisfying rich hilarious"),
	}
	reviewDegrees   = strings.Split("very ;truly ;really ;quite ;utterly ;surprisingly ;deeply ;rather ;so ;remarkably ", ";")
	reviewNegations = strings.Split("not ;never ;hardly ;far from ;not at all ;anything but ;not even remotely ;in no way ", ";")
	reviewNouns     = [2][]string{
		strings.Split("clichés;dead moments;plot holes;bad jokes;false notes;cheap tricks;empty talk;noise;boredom;sentimental goo", ";"),
		strings.Split("charm;wit;heart;tension;surprises;good ideas;real feeling;energy;depth;great jokes", ";"),
	}
	reviewHas   = strings.Split(" has plenty of ; is full of ; offers a lot of ; delivers ; overflows with ; is packed with ", ";")
	reviewLacks = strings.Split(" lacks ; is free of ; avoids ; has no ; is without any ; never shows any ", ";")
	reviewWho   = strings.Split("i;we;the audience;my friends;most people;critics", ";")
	reviewNot   = strings.Split(" did not ; could not ; would never ; never really ", ";")
	reviewVerbs = [2][]string{
		strings.Split("hate;regret;dislike;despise;curse;suffer through;struggle with;fall asleep during", ";"),
		strings.Split("love;enjoy;admire;adore;cherish;fall for;cheer for;laugh with", ";"),
	}

	reviewAnd    = []string{" and ", " , and ", " ; ", " while "}
	reviewBut    = []string{" but ", " , but ", " , yet ", " , however "}
	reviewThough = []string{"although ", "even though ", "while ", "though "}
	reviewEnds   = []string{" .", " .", " .", " !", "", " ..."}
	reviewBefore = strings.Split("in the end;after two hours;on a rainy friday night;to be honest;as far as i can tell;"+
		"for a film of this size;seen on a small screen;set in a quiet town;like the book;from start to finish;by the third reel;"+
		"in my opinion", ";")
	reviewAfter = strings.Split("and it runs for two hours;as the credits roll;in a theater near you;which was shot in winter;"+
		"based on a true story;with subtitles;in black and white;that much is clear;if you ask me;says my neighbor;"+
		"and the seats were full;at least on a second look", ";")
)
