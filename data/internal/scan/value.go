package scan

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// AppendValue appends a value in memory as the cell of a file has it. The values of a list are joined with the separator; if that is
// empty, lists are refused. bad says what is wrong with the value.
func AppendValue(dst []byte, v any, separator string) (text []byte, bad string) {
	switch v := v.(type) {
	case []string:
		return appendList(dst, v, separator)
	case []any:
		return appendList(dst, v, separator)
	case []int:
		return appendList(dst, v, separator)
	case []int64:
		return appendList(dst, v, separator)
	case []float64:
		return appendList(dst, v, separator)
	case []float32:
		return appendList(dst, v, separator)
	}
	return appendOne(dst, v)
}

func appendList[T any](dst []byte, list []T, separator string) (text []byte, bad string) {
	if separator == "" {
		return dst, "a list of values in a column that has one; want a string or a number"
	}
	for i, v := range list {
		if i > 0 {
			dst = append(dst, separator...)
		}
		lo := len(dst)
		switch v := any(&v).(type) { // by pointer, as a value in an interface of its own would be allocated
		case *any:
			dst, bad = appendOne(dst, *v)
		case *string:
			dst = append(dst, *v...)
		case *int:
			dst = strconv.AppendInt(dst, int64(*v), 10)
		case *int64:
			dst = strconv.AppendInt(dst, *v, 10)
		case *float64:
			dst, bad = AppendFloat(dst, *v, 64)
		case *float32:
			dst, bad = AppendFloat(dst, float64(*v), 32)
		}
		if bad == "" && strings.Contains(string(dst[lo:]), separator) {
			bad = fmt.Sprintf("%s holds the separator %q, so that a file would have two values; give both, or another separator", Show(dst[lo:]),
				separator)
		}
		if bad != "" {
			return dst, fmt.Sprintf("value %d of the list: %s", i, bad)
		}
	}
	return dst, ""
}

// appendOne appends a value that is no list.
func appendOne(dst []byte, v any) (text []byte, bad string) {
	switch v := v.(type) {
	case nil:
		return dst, ""
	case string:
		return append(dst, v...), ""
	case json.Number:
		return append(dst, v...), ""
	case time.Time:
		return v.UTC().AppendFormat(dst, "2006-01-02 15:04:05.999999999Z07:00"), ""
	case float64:
		return AppendFloat(dst, v, 64)
	case float32:
		return AppendFloat(dst, float64(v), 32)
	case int:
		return strconv.AppendInt(dst, int64(v), 10), ""
	case int64:
		return strconv.AppendInt(dst, v, 10), ""
	case int32:
		return strconv.AppendInt(dst, int64(v), 10), ""
	case int16:
		return strconv.AppendInt(dst, int64(v), 10), ""
	case int8:
		return strconv.AppendInt(dst, int64(v), 10), ""
	case uint:
		return strconv.AppendUint(dst, uint64(v), 10), ""
	case uint64:
		return strconv.AppendUint(dst, v, 10), ""
	case uint32:
		return strconv.AppendUint(dst, uint64(v), 10), ""
	case uint16:
		return strconv.AppendUint(dst, uint64(v), 10), ""
	case uint8:
		return strconv.AppendUint(dst, uint64(v), 10), ""
	}
	return dst, fmt.Sprintf("a %T is no value; want a string, a number, a list of these, or nil for a blank", v)
}

// AppendFloat appends the shortest decimal digits of v that are read as v again. What no digits say is refused.
func AppendFloat(dst []byte, v float64, bits int) (text []byte, bad string) {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return dst, fmt.Sprintf("%g is not a finite number; want one, or nil for a blank", v)
	}
	if a := math.Abs(v); a != 0 && (a < 1e-6 || a >= 1e21) {
		return strconv.AppendFloat(dst, v, 'e', -1, bits), ""
	}
	return strconv.AppendFloat(dst, v+0, 'f', -1, bits), "" // + 0: -0 is 0
}
