package dictionary

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// TestDictionary compares with a map, over tokens of all lengths, many of which differ in one byte, in a zero at the end or in length.
func TestDictionary(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var d Dictionary
	if d.Find([]byte("a")) != -1 {
		t.Error("an empty dictionary has a token")
	}
	want := map[string]int{}
	for range 200_000 {
		token := make([]byte, r.IntN(20))
		for i := range token {
			token[i] = "\x00a"[r.IntN(2)]
		}
		if len(token) > 4 {
			token[r.IntN(len(token))] = byte(r.IntN(256))
		}
		n, ok := want[string(token)]
		if !ok {
			n = -1
		}
		if got := d.Find(token); got != n {
			t.Fatalf("Find(%q) = %d, want %d", token, got, n)
		}
		if !ok {
			n = len(want)
			want[string(token)] = n
		}
		if got := d.Add(token); got != n {
			t.Fatalf("Add(%q) = %d, want %d", token, got, n)
		}
	}
	if d.Distinct() != len(want) || len(d.Tokens) != len(want) {
		t.Errorf("%d of %d tokens differ, want %d", d.Distinct(), len(d.Tokens), len(want))
	}
	for _, d := range []*Dictionary{&d, New(d.Tokens)} {
		for token, n := range want {
			if got := d.Find([]byte(token)); got != n || d.Tokens[n] != token {
				t.Fatalf("Find(%q) = %d, want %d", token, got, n)
			}
		}
	}
}

// TestZeros has tokens whose bytes, filled up with zeros, are the same, in tables so small that their places meet.
func TestZeros(t *testing.T) {
	for first := range byte(200) {
		var d Dictionary
		token := make([]byte, 9)
		token[0] = first
		for n := range 9 {
			if got := d.Add(token[:n]); got != n {
				t.Fatalf("Add(%q) = %d, want %d", token[:n], got, n)
			}
		}
	}
}

func TestNew(t *testing.T) {
	for n := range 40 {
		var tokens []string
		for i := range n {
			tokens = append(tokens, fmt.Sprint("token ", i))
		}
		d := New(append(tokens, tokens...))
		if d.Distinct() != n {
			t.Errorf("%d tokens of %d differ", d.Distinct(), n)
		}
		for i, token := range tokens {
			if got := d.Find([]byte(token)); got != i {
				t.Errorf("Find(%q) = %d, want %d", token, got, i)
			}
		}
		if d.Find([]byte("none")) != -1 {
			t.Error("it has a token that was not given")
		}
	}
}
