package serve

import (
	"fmt"
	"testing"
)

// TestVersions checks that a version is closed once, when it is no longer the current one and nothing holds it.
func TestVersions(t *testing.T) {
	closed := map[int]int{}
	made := func(n int) *version {
		v := &version{close: func() { closed[n]++ }}
		v.refs.Store(1)
		return v
	}
	expect := func(want string) {
		t.Helper()
		if got := fmt.Sprint(closed); got != want {
			t.Errorf("closed are %s, want %s", got, want)
		}
	}
	m := &served{}
	one := made(1)
	m.swap(one)
	a, b := m.acquire(), m.acquire()
	if a != one || b != one {
		t.Fatal("another version")
	}
	a.release()
	expect("map[]")
	m.swap(made(2))
	expect("map[]") // b goes on
	c := m.acquire()
	if c == one {
		t.Error("the version before is acquired")
	}
	b.release()
	expect("map[1:1]")
	if one.hold() {
		t.Error("a closed version is held")
	}
	c.release()
	expect("map[1:1]")
	m.swap(nil)
	expect("map[1:1 2:1]")
	if m.acquire() != nil {
		t.Error("a version of a server that has stopped")
	}
}
