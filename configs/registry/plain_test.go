package registry_test

import (
	"testing"

	"github.com/splice-ml/splice/configs/registry"
)

// bed is a section that may also be the number of its legs.
type bed struct {
	Legs int  `yaml:"legs"`
	Soft bool `yaml:"soft"`
}

func (b *bed) Plain() (any, bool) { return &b.Legs, !b.Soft }

func (b *bed) Validate() error { return registry.AtLeast("legs", b.Legs, 1) }

// TestPlain: a value may stand for a section, and one that says no more is written as the value.
func TestPlain(t *testing.T) {
	type room struct {
		Bed bed `yaml:"bed"`
	}
	for _, tc := range []struct{ text, want, err string }{
		{"{}", "bed: 4\n", ""},
		{"bed: 3", "bed: 3\n", ""},
		{"bed: {legs: 3}", "bed: 3\n", ""},
		{"bed: {soft: true}", "bed:\n  legs: 4\n  soft: true\n", ""},
		{"bed: 0", "", "line 1: bed.legs: must be at least 1, have 0"},
		{"bed: soft", "", "line 1: bed: want a whole number, have the text \"soft\""},
		{"bed: [3]", "", "line 1: bed: want a section of `key: value` lines, have a list"},
	} {
		p := &registry.Problems{}
		r := room{Bed: bed{Legs: 4}}
		registry.DecodeStruct(registry.Parse([]byte(tc.text), p), &r, p, "")
		got := ""
		if err := p.Err(); err != nil {
			got = err.Error()
		}
		if got != tc.err {
			t.Errorf("%s: %q, want %q", tc.text, got, tc.err)
		}
		if tc.err == "" && encode(t, r) != tc.want {
			t.Errorf("%s: written as %q, want %q", tc.text, encode(t, r), tc.want)
		}
	}
}
