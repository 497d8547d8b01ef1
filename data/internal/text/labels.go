package text

import (
	"fmt"
	"strings"
)

// labelIndex returns the number of each text that a label can have: its name, or its number where no name is one.
func labelIndex(labels []string) map[string]float32 {
	index := map[string]float32{}
	numbers := false
	for i, name := range labels {
		index[name] = float32(i)
		numbers = numbers || isWhole(name)
	}
	if !numbers {
		for i := range labels {
			index[fmt.Sprint(i)] = float32(i)
		}
	}
	return index
}

// isWhole reports whether a text is a whole number in decimal digits.
func isWhole(s string) bool {
	digits := strings.TrimPrefix(s, "-")
	return digits != "" && len(digits) < 16 && strings.Trim(digits, "0123456789") == ""
}
