// Package history turns logs of users' actions into rows: what a user had, what came next, and what did not. It is for models of
// histories what packages table and text are for features and texts. A log is held in memory, with about 12 bytes an action.
package history

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/splice-ml/splice/data/rng"
)

// Log is the actions of users, each user's in the order of time. Items and users are numbered in the order of the log until
// [Log.Encode] gives items the ids of a vocabulary.
type Log struct {
	Users []string  // names, by number
	Names []string  // names of the items, by number
	Start []int64   // [users+1]: user u has the actions Start[u] to Start[u+1]-1
	Item  []int32   // by action
	Time  []float64 // by action; nil without times
}

// Side is what is known of the items of a log beside, such as their categories.
type Side struct {
	Name  string
	Value []string // by item; empty if nothing is known of it
}

// Action is a user's action as a file has it.
type Action struct {
	User, Item []byte
	Time       float64
}

// Builder collects actions.
type Builder struct {
	Timed bool // actions have times, which order them; otherwise the files' order holds

	users, items map[string]int32
	last         int32       // the user of the last action: logs often have a user's actions together
	names        [2][]string // of users and items
	actions      []action
}

type action struct {
	user, item int32
	time       float64
}

// Add adds an action.
func (b *Builder) Add(a Action) error {
	if b.users == nil {
		b.users, b.items = map[string]int32{}, map[string]int32{}
	}
	if len(b.actions) == maxActions {
		return fmt.Errorf("more than %d actions, which are too many to be held in memory", maxActions)
	}
	if len(b.actions) == 0 || string(a.User) != b.names[0][b.last] {
		b.last = b.number(b.users, 0, a.User)
	}
	b.actions = append(b.actions, action{b.last, b.number(b.items, 1, a.Item), a.Time})
	return nil
}

// maxActions bounds the actions of a log.
const maxActions = 1 << 31

func (b *Builder) number(m map[string]int32, kind int, name []byte) int32 {
	if n, ok := m[string(name)]; ok {
		return n
	}
	n := int32(len(b.names[kind]))
	s := string(name)
	m[s] = n
	b.names[kind] = append(b.names[kind], s)
	return n
}

// Len returns the number of actions.
func (b *Builder) Len() int { return len(b.actions) }

// Core removes users with fewer than minUser actions and items with fewer than minItem, again and again until none are left: what
// remains is the k-core. A bound of 0 or 1 removes nothing.
func (b *Builder) Core(minUser, minItem int) {
	for {
		users, items := make([]int, len(b.names[0])), make([]int, len(b.names[1]))
		for _, a := range b.actions {
			users[a.user]++
			items[a.item]++
		}
		before := len(b.actions)
		b.actions = slices.DeleteFunc(b.actions, func(a action) bool { return users[a.user] < minUser || items[a.item] < minItem })
		if len(b.actions) == before {
			return
		}
	}
}

// Log returns the actions user by user. Users and items without an action are left out. Actions of equal time stay in the order in
// which they were added.
func (b *Builder) Log() *Log {
	l := &Log{}
	var place [2][]int32
	for kind := range place {
		used := make([]bool, len(b.names[kind]))
		for _, a := range b.actions {
			used[[2]int32{a.user, a.item}[kind]] = true
		}
		place[kind] = make([]int32, len(used))
		var names []string
		for i, ok := range used {
			if ok {
				place[kind][i] = int32(len(names))
				names = append(names, b.names[kind][i])
			}
		}
		if kind == 0 {
			l.Users = names
		} else {
			l.Names = names
		}
	}
	l.Start = make([]int64, len(l.Users)+1)
	for _, a := range b.actions {
		l.Start[place[0][a.user]+1]++
	}
	for u := range l.Users {
		l.Start[u+1] += l.Start[u]
	}
	next := slices.Clone(l.Start)
	sorted := make([]action, len(b.actions))
	for _, a := range b.actions {
		u := place[0][a.user]
		sorted[next[u]] = action{u, place[1][a.item], a.time}
		next[u]++
	}
	l.Item = make([]int32, len(sorted))
	if b.Timed {
		l.Time = make([]float64, len(sorted))
		for u := range l.Users {
			byTime := func(x, y action) int { return cmp.Compare(x.time, y.time) }
			if of := sorted[l.Start[u]:l.Start[u+1]]; !slices.IsSortedFunc(of, byTime) {
				slices.SortStableFunc(of, byTime)
			}
		}
	}
	for i, a := range sorted {
		l.Item[i] = a.item
		if b.Timed {
			l.Time[i] = a.time
		}
	}
	return l
}

// Shuffle gives each user's actions an order that depends on the seed, the user's name and their number alone. Times, which no longer
// are in order, are dropped.
func (l *Log) Shuffle(seed uint64) {
	l.Time = nil
	for u, name := range l.Users {
		items := l.Item[l.Start[u]:l.Start[u+1]]
		rng.New(rng.Key(seed, "order", name)).Shuffle(len(items), func(i, j int) { items[i], items[j] = items[j], items[i] })
	}
}

// userOf returns the user of an action.
func (l *Log) userOf(action int64) int {
	u, found := slices.BinarySearch(l.Start, action)
	if !found {
		return u - 1
	}
	for l.Start[u+1] == action { // users without actions
		u++
	}
	return u
}
