package registry

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// number is what an option of a config counts or measures.
type number interface{ ~int | ~int64 | ~float64 }

// The checks below are what Validate methods are made of. Each returns nil, or the error of an option, which [errors.Join] puts
// beside those of the others. A number that is NaN or infinite passes none of them.

// AtLeast checks that v is least or more.
func AtLeast[N number](key string, v, least N) error {
	switch {
	case v >= least && finite(v):
		return nil
	case least == 0:
		return Field(key, "must not be negative")
	}
	return Field(key, "must be at least %v", least)
}

// From checks that v is from least to most.
func From[N number](key string, v, least, most N) error {
	if v > most {
		return Field(key, "must be at most %v", most)
	}
	return AtLeast(key, v, least)
}

// Above checks that v is more than low.
func Above[N number](key string, v, low N) error {
	if v > low && finite(v) {
		return nil
	}
	return Field(key, "must be above %v", low)
}

// In checks that v is in [low, high], both ends included.
func In[N number](key string, v, low, high N) error {
	return within(v >= low && v <= high, key, "[%v, %v]", low, high)
}

// InOpen checks that v is in (low, high), without the ends.
func InOpen[N number](key string, v, low, high N) error {
	return within(v > low && v < high, key, "(%v, %v)", low, high)
}

// InBelow checks that v is in [low, high), the upper end left out.
func InBelow[N number](key string, v, low, high N) error {
	return within(v >= low && v < high, key, "[%v, %v)", low, high)
}

// InAbove checks that v is in (low, high], the lower end left out.
func InAbove[N number](key string, v, low, high N) error {
	return within(v > low && v <= high, key, "(%v, %v]", low, high)
}

func within[N number](ok bool, key, interval string, low, high N) error {
	if ok {
		return nil
	}
	return Field(key, "must be in "+interval, low, high)
}

// Finite checks that v is a number, and not infinite.
func Finite(key string, v float64) error {
	if finite(v) {
		return nil
	}
	return Field(key, "must be a finite number")
}

func finite[N number](v N) bool { return !math.IsNaN(float64(v)) && !math.IsInf(float64(v), 0) }

// OneOf checks that v is one of the names.
func OneOf(key, v string, names ...string) error {
	if slices.Contains(names, v) {
		return nil
	}
	last := len(names) - 1
	if last < 1 {
		return Field(key, "%s", "must be "+strings.Join(names, ""))
	}
	return Field(key, "%s", fmt.Sprintf("must be %s or %s", strings.Join(names[:last], ", "), names[last]))
}
