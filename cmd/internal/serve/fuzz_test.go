package serve_test

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"
)

// seeds are bodies that are answered, by their path.
var seeds = map[string]string{
	"/v1/score":               `{"model":"m","rows":[{"user":"u1","ad":101,"tags":["new","red"],"price":2.5},{"user":null,"ad":"7","tags":"a|b","price":"3"}]}`,
	"/v2/models/m/infer":      `{"id":"1","inputs":[{"name":"user","shape":[1],"datatype":"BYTES","data":["u1"]},{"name":"ad","shape":[1,1],"datatype":"INT64","data":[[101]]},{"name":"tags","shape":[1,2],"datatype":"BYTES","data":[["new","red"]]},{"name":"price","shape":[1],"datatype":"FP64","data":[2.5]}],"outputs":[{"name":"score"}]}`,
	"/v1/recommend":           `{"model":"next","rows":[{"history":["i1","i2"]}],"k":3}`,
	"/v2/models/next/infer":   `{"parameters":{"k":3},"inputs":[{"name":"history","shape":[1,2],"datatype":"BYTES","data":["i1","i2"]}]}`,
	"/v2/models/review/infer": `{"inputs":[{"name":"sentence","shape":[1],"datatype":"BYTES","data":["a warm film"]}],"parameters":{"binary_data_output":true}}`,
}

// TestMalformed sends a thousand bodies that are no JSON, or lack what a request must have. Each must be an error of the client.
func TestMalformed(t *testing.T) {
	s := start(t, options(t, "m="+trained(t, clicksConfig, 1), "next="+trained(t, cyclesConfig, 1), "review="+trained(t, reviewsConfig, 1)))
	r := rand.New(rand.NewPCG(3, 4))
	for path, body := range seeds {
		want(t, ask(s, "POST", path, body), 200, nil)
		for i := range 200 {
			bad := malformed(r, body, i)
			w := ask(s, "POST", path, bad)
			var fault struct{ Error string }
			if err := json.Unmarshal(w.Body.Bytes(), &fault); w.Code < 400 || w.Code > 499 || err != nil || fault.Error == "" {
				t.Errorf("%s %q: status %d, %.200s, want an error of the client", path, bad, w.Code, w.Body)
			}
		}
		want(t, ask(s, "POST", path, body), 200, nil)
	}
}

// malformed breaks a body for certain.
func malformed(r *rand.Rand, body string, i int) string {
	at := 1 + r.IntN(len(body)-1)
	switch i % 5 {
	case 0: // cut off
		return body[:at]
	case 1: // a byte that JSON has nowhere
		return body[:at] + "\x01" + body[at:]
	case 2: // invalid UTF-8
		return body[:at] + "\xff\xfe" + body[at:]
	case 3: // more behind it
		return body + string("{}[],:x1\"tfn"[r.IntN(12)])
	}
	// another type for a member
	keys := []string{`"rows":[`, `"inputs":[`, `"shape":[`}
	for _, k := range keys {
		if strings.Contains(body, k) && r.IntN(2) == 0 {
			return strings.Replace(body, k, strings.TrimSuffix(k, "[")+[]string{"1,\"x\":[", "\"a\",\"x\":[", "{},\"x\":[", "true,\"x\":[", "null,\"x\":["}[r.IntN(5)], 1)
		}
	}
	return body[:at] + "\x00" + body[at:]
}

// FuzzBody sends any body: no answer may be a defect of the server.
func FuzzBody(f *testing.F) {
	paths := []string{"/v1/score", "/v2/models/m/infer", "/v1/recommend", "/v2/models/next/infer", "/v2/models/review/infer", "/"}
	for i, p := range paths {
		f.Add(uint8(i), []byte(seeds[p]), "")
		f.Add(uint8(i), []byte(seeds[p]+"\x02\x00\x00\x00u1"), "30")
	}
	s := start(f, options(f, "m="+trained(f, clicksConfig, 1), "next="+trained(f, cyclesConfig, 1), "review="+trained(f, reviewsConfig, 1)))
	f.Fuzz(func(t *testing.T, which uint8, body []byte, length string) {
		path := paths[int(which)%len(paths)]
		var headers []string
		if length != "" {
			headers = []string{"Inference-Header-Content-Length", length}
		}
		w := ask(s, "POST", path, string(body), headers...)
		if w.Code != 200 && (w.Code < 400 || w.Code > 499) {
			t.Errorf("%s: status %d: %s", path, w.Code, w.Body)
		}
	})
}
