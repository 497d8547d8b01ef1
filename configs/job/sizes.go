package job

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// size is an option that is a whole number, or a list of such.
type size struct {
	path  string // such as model.hidden_units
	value string // as in a config
	n     int    // the value, of a list the greatest
	at    []int  // the fields that lead to it; nil for one within a section by name, which cannot be set
}

// sizesOf returns the whole numbers among the options of a section.
func sizesOf(v any, section string) []size {
	var list []size
	r := reflect.ValueOf(v)
	if r.Kind() == reflect.Pointer && !r.IsNil() {
		r = r.Elem()
	}
	walkSizes(r, section, []int{}, &list)
	slices.SortStableFunc(list, func(a, b size) int { return cmp.Compare(b.n, a.n) }) // an absurd one comes first
	return list
}

func walkSizes(v reflect.Value, path string, at []int, list *[]size) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			walkSizes(v.Elem(), path, nil, list)
		}
	case reflect.Map:
		keys := v.MapKeys()
		names := map[string]reflect.Value{}
		for _, k := range keys {
			names[fmt.Sprint(k)] = k
		}
		for _, name := range slices.Sorted(maps.Keys(names)) {
			walkSizes(v.MapIndex(names[name]), path+"."+name, nil, list)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			f := v.Type().Field(i)
			name, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
			if !f.IsExported() || name == "-" {
				continue
			}
			to := path
			if name != "" {
				to += "." + name
			} else if !f.Anonymous && !strings.Contains(options, "inline") {
				continue
			}
			var next []int
			if at != nil {
				next = append(slices.Clone(at), i)
			}
			walkSizes(v.Field(i), to, next, list)
		}
	case reflect.Int:
		*list = append(*list, size{path, fmt.Sprint(v.Int()), int(v.Int()), at})
	case reflect.Slice:
		if v.Type().Elem().Kind() != reflect.Int || v.Len() == 0 {
			return
		}
		s := size{path: path, value: shown(v), at: at}
		for i := range v.Len() {
			s.n = max(s.n, int(v.Index(i).Int()))
		}
		*list = append(*list, s)
	}
}

// shown writes a list, cut after a few numbers.
func shown(v reflect.Value) string {
	const most = 4
	var words []string
	for i := range min(v.Len(), most) {
		words = append(words, fmt.Sprint(v.Index(i).Int()))
	}
	if v.Len() > most {
		words = append(words, fmt.Sprintf("... %d numbers", v.Len()))
	}
	return "[" + strings.Join(words, ", ") + "]"
}

// smaller returns the numbers to which the option may be lowered: not all of them are valid beside the other options.
func (s size) smaller() []int {
	if s.at == nil {
		return nil
	}
	return slices.DeleteFunc([]int{1, 1 << 10, s.n / 2}, func(n int) bool { return n < 1 || n >= s.n })
}

// lowered returns a copy of a section, a struct or a pointer to one, in which the option is to, or a list of a single to.
func (s size) lowered(section any, to int) any {
	from := reflect.ValueOf(section)
	pointer := from.Kind() == reflect.Pointer
	if pointer {
		from = from.Elem()
	}
	p := reflect.New(from.Type())
	v := p.Elem()
	v.Set(from)
	if pointer {
		from = p
	} else {
		from = v
	}
	f := v.FieldByIndex(s.at)
	if f.Kind() == reflect.Int {
		f.SetInt(int64(to))
		return from.Interface()
	}
	small := reflect.MakeSlice(f.Type(), min(1, f.Len()), 1)
	for i := range small.Len() {
		small.Index(i).SetInt(int64(to))
	}
	f.Set(small)
	return from.Interface()
}
