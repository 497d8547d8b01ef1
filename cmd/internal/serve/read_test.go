package serve_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/splice-ml/splice"
	"github.com/splice-ml/splice/cmd/internal/serve"
)

// FuzzRows holds that what is read of a body is what encoding/json reads of it, also after other bodies.
func FuzzRows(f *testing.F) {
	for _, body := range seeds {
		f.Add([]byte(body))
	}
	for _, body := range []string{
		`{"rows":[]}`, `{"rows":null,"k":null}`, ` { "k" : -3 , "rows" : [ { } , {"a":1e400,"b":-0.50,"ä\"\n":"\u00e4\ud83d\ude00\\"} ] } `,
		`{"rows":[{"a":["x",null,1,"\t"],"b":[],"c":""},{"a":0,"a":1}]}`, `{"rows":[{"a":[true]},{"b":{"c":[1,{"d":2}]}}]}`,
		`{"rows":[{"a":[[1]]}],"k":1.0}`, `{"rows":[1,{}]}`, `{"rows":[{"a":1}`, `{"rows":[{"a":1}],"rows":[{"b":2}]}`, `{"rows":[{"a" 1}]}`, `[{"a":[1,2]}]`, `{"rows":[{"a":01}]}`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var want struct {
			Model string
			K     *int
			Rows  []splice.Row
		}
		dec := json.NewDecoder(bytes.NewReader(body))
		dec.UseNumber()
		fault := dec.Decode(&want)
		err := serve.ReadRows(serve.DefaultLimits(), body, func(model string, k *int, rows []splice.Row) {
			if model != want.Model || !cmp.Equal(k, want.K) || !cmp.Equal(rows, want.Rows) || fault != nil {
				t.Errorf("%q: read %q %v %v, want %q %v %v, %v", body, model, k, rows, want.Model, want.K, want.Rows, fault)
			}
		})
		if err != nil && fault == nil && wellKnown(err.Error()) {
			t.Errorf("%q is refused: %v", body, err)
		}
		again := 0
		if err := serve.ReadRows(serve.DefaultLimits(), []byte(`{"rows":[{"z":"1"},{}]}`), func(model string, k *int, rows []splice.Row) {
			if again++; model != "" || k != nil || !cmp.Equal(rows, []splice.Row{{"z": "1"}, {}}) {
				t.Errorf("after %q: read %q %v %v", body, model, k, rows)
			}
		}); err != nil || again != 1 {
			t.Errorf("after %q: %v", body, err)
		}
	})
}

// wellKnown reports whether an error is of no kind that encoding/json lets pass.
func wellKnown(text string) bool {
	for _, part := range []string{"twice", "unknown field", "no UTF-8", "surrogate", "escape", "more after", "no value", "no JSON object", "which it cannot be", "more than"} {
		if strings.Contains(text, part) {
			return false
		}
	}
	return true
}
