// Package memory says how much memory there is, and adds up what something needs, before it is allocated: a program that asks for more
// than there is ends without a word.
package memory

import (
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
)

// Variable is the environment variable that takes the place of what the machine says of its memory, such as 64GB: for a machine that
// swaps, or one that others use too.
const Variable = "SPLICE_MEMORY"

// most is the limit where none is known: no machine has more.
const most = 1 << 46

// Limit is the number of bytes that a process may use.
type Limit struct {
	Bytes float64
	Of    string // what sets it
}

// Available returns the least of the limits of this process.
func Available() (Limit, error) {
	if text := os.Getenv(Variable); text != "" {
		n, err := Parse(text)
		if err != nil {
			return Limit{}, fmt.Errorf("%s: %w", Variable, err)
		}
		return Limit{n, Variable}, nil
	}
	l := Limit{most, "any machine"}
	for _, m := range limits() {
		if m.Bytes > 0 && m.Bytes < l.Bytes {
			l = m
		}
	}
	return l, nil
}

var units = []struct {
	name  string
	bytes float64
}{{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"KB", 1e3}, {"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}

// Parse reads a number of bytes such as 64GB, 512MiB or 1e9.
func Parse(text string) (float64, error) {
	number, unit := strings.TrimSpace(text), 1.0
	for _, u := range units {
		if cut, ok := strings.CutSuffix(number, u.name); ok {
			number, unit = strings.TrimSpace(cut), u.bytes
			break
		}
	}
	n, err := strconv.ParseFloat(number, 64)
	if n *= unit; err != nil || !(n >= 1) || math.IsInf(n, 0) {
		return 0, errors.New("want a size such as 64GB or 512MiB, have " + strconv.Quote(text))
	}
	return n, nil
}

// Format writes a number of bytes as people do, such as 3.1 GB.
func Format(bytes float64) string {
	for _, u := range units[:4] {
		if bytes >= u.bytes {
			if bytes >= 1e5*u.bytes {
				return fmt.Sprintf("%.1g %s", bytes/u.bytes, u.name)
			}
			return fmt.Sprintf("%.1f %s", bytes/u.bytes, u.name)
		}
	}
	return fmt.Sprintf("%.0f B", bytes)
}

// Part is something that takes memory.
type Part struct {
	Name  string
	Bytes float64
}

// Bill is what something needs, by parts. The bytes are floating point numbers, which do not overflow.
type Bill []Part

// Add adds to the part of that name.
func (b *Bill) Add(name string, bytes float64) {
	if i := slices.IndexFunc(*b, func(p Part) bool { return p.Name == name }); i >= 0 {
		(*b)[i].Bytes += bytes
	} else if bytes > 0 {
		*b = append(*b, Part{name, bytes})
	}
}

// Total returns the sum of the parts.
func (b Bill) Total() float64 {
	sum := 0.0
	for _, p := range b {
		sum += p.Bytes
	}
	return sum
}

// Greatest writes the n greatest parts, such as "tables 1.2 GB, optimizer 2.4 GB".
func (b Bill) Greatest(n int) string {
	sorted := slices.Clone(b)
	slices.SortStableFunc(sorted, func(x, y Part) int { return strings.Compare(x.Name, y.Name) })
	slices.SortStableFunc(sorted, func(x, y Part) int {
		if x.Bytes > y.Bytes {
			return -1
		} else if x.Bytes < y.Bytes {
			return 1
		}
		return 0
	})
	var list []string
	for _, p := range sorted[:min(n, len(sorted))] {
		list = append(list, p.Name+" "+Format(p.Bytes))
	}
	return strings.Join(list, ", ")
}

// Error is a need that is greater than the limit.
type Error struct {
	Need  float64
	Limit Limit
	Lower string // what to lower, with its value
}

// Error says what to do.
func (e *Error) Error() string {
	return fmt.Sprintf("needs about %s, %s has %s: lower %s (%s=64GB sets another limit)", Format(e.Need), e.Limit.Of, Format(e.Limit.Bytes),
		e.Lower, Variable)
}

// Check returns an [*Error] if more is needed than there is. lower says what to lower.
func Check(bytes float64, lower string) error {
	l, err := Available()
	if err != nil {
		return err
	}
	if bytes > l.Bytes {
		return &Error{bytes, l, lower}
	}
	return nil
}
