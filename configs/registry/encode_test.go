package registry_test

import (
	"math"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/splice-ml/splice/configs/registry"
)

func encode(t interface{ Fatal(...any) }, v any) string {
	n, err := registry.Encode(v, nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := registry.Marshal(n)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestEncode(t *testing.T) {
	h, p := decode(t, "name: '0123'\npet: dog\nrooms: []\nwait: 90s\nnote: \"a\\nb: c\"\nsizes: {'true': 0.1, a b: 1e-6, c: 1e30}\n")
	if err := p.Err(); err != nil {
		t.Fatal(err)
	}
	const want = `name: "0123"
pet:
  type: dog
  tricks: [sit]
  mate:
    type: cat
    lives: 3
    fur: 0
  grid: [[1]]
  ages:
    a: [1]
rooms: []
sizes:
  a b: 1e-06
  c: 1e+30
  "true": 0.1
wait: 1m30s
open: false
small: 0
byte: 0
seed: 0
pair: [0, 0]
note: "a\nb: c"
`
	if got := encode(t, h); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got, want := encode(t, cat{Lives: 1}), "type: cat\nlives: 1\nfur: 0\n"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestEncodeComment(t *testing.T) {
	n, err := registry.Encode(&dog{Mate: cat{}}, func(owner reflect.Type, field string) string {
		return owner.Name() + "." + field
	})
	if err != nil {
		t.Fatal(err)
	}
	b, err := registry.Marshal(n)
	if err != nil {
		t.Fatal(err)
	}
	const want = "type: dog\ntricks: [] # dog.Tricks\n# dog.Mate\nmate:\n  type: cat\n  lives: 0 # cat.Lives\n  fur: 0 # cat.Fur\ngrid: [] # dog.Grid\nages: {} # dog.Ages\n"
	if got := string(b); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// What Encode writes decodes to the same values, whatever texts and numbers they are.
func TestEncodeRoundTrip(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		text := rapid.OneOf(rapid.String(),
			rapid.SampledFrom([]string{
				"", "~", "null", "yes", "0x1", "1e3", "a: b", "- a", "#c", "a #c", "<<", "2020-01-01", " a", "a ", "*a", "&a",
				"!a", "%", "@", "'", `"`, "|", ">", "\t", "---", "...", "\n", "\r", "\u0085", "\u2028",
			})).
			Filter(func(s string) bool {
				for _, r := range s {
					if r == 0 {
						return false
					}
				}
				return true
			})
		want := house{
			Name: text.Draw(rt, "name"),
			Pet: &dog{
				Tricks: rapid.SliceOfN(text, 1, 3).Draw(rt, "tricks"),
				Mate:   cat{Lives: 3, Fur: rapid.Float64Range(0, math.MaxFloat64).Draw(rt, "fur")},
			},
			Rooms: rapid.SliceOfN(rapid.IntRange(-math.MaxInt32, math.MaxInt32), 1, 3).Draw(rt, "rooms"),
			Sizes: map[string]float32{text.Draw(rt, "key"): rapid.Float32().Draw(rt, "size")},
			Small: rapid.Int8().Draw(rt, "small"), Seed: rapid.Uint64().Draw(rt, "seed"),
		}
		src := encode(rt, want)
		p := &registry.Problems{}
		var got house
		if n := registry.Parse([]byte(src), p); n != nil {
			registry.DecodeStruct(n, &got, p, "")
		}
		if err := p.Err(); err != nil {
			rt.Fatalf("%v\n%s", err, src)
		}
		if d := cmp.Diff(want, got, cmp.AllowUnexported(house{})); d != "" {
			rt.Fatalf("%s\n%s", d, src)
		}
	})
}
