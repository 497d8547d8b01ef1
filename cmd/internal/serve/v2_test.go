package serve_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// tensor is a tensor of the Open Inference Protocol.
type tensor struct {
	Name       string         `json:"name"`
	Shape      []int          `json:"shape"`
	Datatype   string         `json:"datatype"`
	Parameters map[string]any `json:"parameters,omitempty"`
	Data       any            `json:"data,omitempty"`
}

// inferReply has the members that the protocol requires of an answer.
type inferReply struct {
	ModelName    string   `json:"model_name"`
	ModelVersion string   `json:"model_version"`
	ID           string   `json:"id"`
	Outputs      []tensor `json:"outputs"`
}

// columns returns the tensors of clicks: strings, and numbers where they are some.
func columns(list [][]string) []tensor {
	var all []tensor
	for i, name := range header[1:] {
		c := tensor{Name: name, Shape: []int{len(list)}, Datatype: "BYTES"}
		var data []any
		for _, cells := range list {
			data = append(data, cells[i+1])
		}
		c.Data = data
		all = append(all, c)
	}
	return all
}

// TestMetadata checks the shapes of the protocol's answers: https://github.com/kserve/open-inference-protocol, "HTTP/REST".
func TestMetadata(t *testing.T) {
	s := start(t, options(t, "clicks="+trained(t, clicksConfig, 1), "reviews="+trained(t, reviewsConfig, 1), "next="+trained(t, cyclesConfig, 1)))
	strict := func(path string, v any) {
		t.Helper()
		w := ask(s, "GET", path, "")
		want(t, w, 200, nil)
		dec := json.NewDecoder(w.Body)
		dec.DisallowUnknownFields()
		if err := dec.Decode(v); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	var server struct {
		Name, Version string
		Extensions    []string
	}
	if strict("/v2", &server); server.Name != "splice" || server.Version == "" || !slices.Contains(server.Extensions, "binary_tensor_data") {
		t.Errorf("server %+v", server)
	}
	var live struct{ Live bool }
	var ready struct{ Ready bool }
	strict("/v2/health/live", &live)
	if strict("/v2/health/ready", &ready); !live.Live || !ready.Ready {
		t.Error("not live, or not ready")
	}
	var list struct{ Models []string }
	if strict("/v2/models", &list); fmt.Sprint(list.Models) != "[clicks reviews next]" {
		t.Errorf("models %v", list.Models)
	}
	type info struct {
		Name, Datatype string
		Shape          []int
	}
	for name, wanted := range map[string]string{
		"clicks":  "[{user BYTES [-1]} {ad BYTES [-1]} {tags BYTES [-1 -1]} {price FP64 [-1]}] [{score FP32 [-1]}]",
		"reviews": "[{sentence BYTES [-1]}] [{class BYTES [-1]} {probability FP32 [-1]}]",
		"next":    "[{history BYTES [-1 -1]}] [{items BYTES [-1 -1]} {scores FP32 [-1 -1]}]",
	} {
		var m struct {
			Name, Platform  string
			Versions        []string
			Inputs, Outputs []info
		}
		strict("/v2/models/"+name, &m)
		if got := fmt.Sprint(m.Inputs, m.Outputs); m.Name != name || m.Platform != "splice" || len(m.Versions) != 1 || got != wanted {
			t.Errorf("model %+v, want %s", m, wanted)
		}
		var ready struct {
			Name  string
			Ready bool
		}
		for _, path := range []string{"/v2/models/" + name, "/v2/models/" + name + "/versions/" + m.Versions[0]} {
			if strict(path+"/ready", &ready); !ready.Ready || ready.Name != name {
				t.Errorf("%s: %+v", path, ready)
			}
		}
		var fault struct{ Error string }
		for _, path := range []string{"/v2/models/" + name + "/versions/1", "/v2/models/" + name + "x", "/v2/models/" + name + "x/ready"} {
			if want(t, ask(s, "GET", path, ""), 404, &fault); fault.Error == "" {
				t.Errorf("%s: no error", path)
			}
		}
	}
}

func TestInfer(t *testing.T) {
	dir := trained(t, clicksConfig, 1)
	s := start(t, options(t, "clicks="+dir))
	list := clicks()[:20]
	wanted := predictions(t, clicksConfig, "", 0, dir)[:20]
	check := func(t *testing.T, w *httptest.ResponseRecorder, id string) {
		t.Helper()
		var got inferReply
		want(t, w, 200, &got)
		if got.ModelName != "clicks" || got.ModelVersion == "" || got.ID != id || len(got.Outputs) != 1 {
			t.Fatalf("answer %+v", got)
		}
		o := got.Outputs[0]
		if o.Name != "score" || o.Datatype != "FP32" || fmt.Sprint(o.Shape) != "[20]" {
			t.Errorf("output %+v", o)
		}
		for i, v := range o.Data.([]any) {
			if text := strconv.FormatFloat(v.(float64), 'g', -1, 32); text != wanted[i] {
				t.Errorf("row %d: %s, want %s", i, text, wanted[i])
			}
		}
	}
	path := "/v2/models/clicks/infer"
	strings20 := columns(list)

	column := columns(list) // [n, 1], flat and nested
	for i := range column {
		column[i].Shape = []int{20, 1}
		if i%2 == 0 {
			var nested []any
			for _, v := range column[i].Data.([]any) {
				nested = append(nested, []any{v})
			}
			column[i].Data = nested
		}
	}

	typed := columns(list) // numbers as numbers, lists as [n, k] and as JSON
	typed[1].Datatype, typed[1].Data = "INT64", each(list, func(cells []string) any { n, _ := strconv.Atoi(cells[2]); return n })
	typed[3].Datatype, typed[3].Data = "FP64", each(list, func(cells []string) any {
		if cells[4] == "" {
			return nil
		}
		return json.Number(cells[4])
	})
	typed[2].Shape, typed[2].Data = []int{20, 4}, each(list, func(cells []string) any {
		four := make([]string, 4)
		copy(four, strings.Split(cells[3], "|"))
		return four
	})
	arrays := columns(list)
	arrays[2].Data = each(list, func(cells []string) any {
		if cells[3] == "" {
			return "[]"
		}
		return marshal(strings.Split(cells[3], "|"))
	})
	singles := columns(list)
	singles[3].Datatype, singles[3].Data = "FP32", each(list, func(cells []string) any {
		if cells[4] == "" {
			return nil
		}
		v, _ := strconv.ParseFloat(cells[4], 32)
		return v // with the digits that Python writes of a float32
	})
	for name, inputs := range map[string][]tensor{
		"strings": strings20, "columns": column, "types": typed, "arrays": arrays, "float32": singles, "in another order": {typed[3], typed[0], typed[2], typed[1]},
	} {
		t.Run(name, func(t *testing.T) {
			check(t, ask(s, "POST", path, marshal(map[string]any{"id": "x7", "inputs": inputs, "outputs": []any{map[string]any{"name": "score"}}})), "x7")
			check(t, ask(s, "POST", path, marshal(map[string]any{"inputs": inputs, "unknown": 1})), "")
		})
	}
	t.Run("binary", func(t *testing.T) {
		var tail []byte
		inputs := columns(list)
		for i := range inputs {
			var raw []byte
			for _, v := range inputs[i].Data.([]any) {
				if i == 1 {
					n, _ := strconv.Atoi(v.(string))
					raw = binary.LittleEndian.AppendUint64(raw, uint64(n))
					continue
				}
				raw = append(binary.LittleEndian.AppendUint32(raw, uint32(len(v.(string)))), v.(string)...)
			}
			if i == 1 {
				inputs[i].Datatype = "INT64"
			}
			inputs[i].Data, inputs[i].Parameters = nil, map[string]any{"binary_data_size": len(raw)}
			tail = append(tail, raw...)
		}
		text := marshal(map[string]any{"inputs": inputs, "parameters": map[string]any{"binary_data_output": true}})
		length := strconv.Itoa(len(text))
		w := ask(s, "POST", path, text+string(tail), "Inference-Header-Content-Length", length)
		if w.Code != 200 {
			t.Fatal(w.Body)
		}
		n, err := strconv.Atoi(w.Header().Get("Inference-Header-Content-Length"))
		if err != nil {
			t.Fatal(err)
		}
		var got inferReply
		if err := json.Unmarshal(w.Body.Bytes()[:n], &got); err != nil {
			t.Fatal(err)
		}
		raw := w.Body.Bytes()[n:]
		if o := got.Outputs[0]; o.Parameters["binary_data_size"] != 80. || o.Data != nil || len(raw) != 80 || w.Header().Get("Content-Length") != strconv.Itoa(n+80) {
			t.Fatalf("answer %+v with %d bytes behind it", got, len(raw))
		}
		for i := range wanted {
			v := math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
			if text := strconv.FormatFloat(float64(v), 'g', -1, 32); text != wanted[i] {
				t.Errorf("row %d: %s, want %s", i, text, wanted[i])
			}
		}
		for name, body := range map[string]string{"cut": text + string(tail[:len(tail)-1]), "longer": text + string(tail) + "x", "no tail": text} {
			var fault struct{ Error string }
			want(t, ask(s, "POST", path, body, "Inference-Header-Content-Length", length), 400, &fault)
			if !strings.Contains(fault.Error, "behind") {
				t.Errorf("%s: %s", name, fault.Error)
			}
		}
		for _, bad := range []string{"x", "-1", "999999"} {
			want(t, ask(s, "POST", path, text+string(tail), "Inference-Header-Content-Length", bad), 400, nil)
		}
	})
	t.Run("classes", func(t *testing.T) {
		s := start(t, options(t, "r="+trained(t, reviewsConfig, 1)))
		body := `{"parameters":{"binary_data_output":true},"inputs":[{"name":"sentence","shape":[2],"datatype":"BYTES","data":["dull","warm"]}],"outputs":[{"name":"probability","parameters":{"binary_data":false}},{"name":"class"}]}`
		w := ask(s, "POST", "/v2/models/r/infer", body)
		n, _ := strconv.Atoi(w.Header().Get("Inference-Header-Content-Length"))
		var got inferReply
		if err := json.Unmarshal(w.Body.Bytes()[:n], &got); err != nil {
			t.Fatal(err)
		}
		if p, ok := got.Outputs[0].Data.([]any); !ok || len(p) != 2 || got.Outputs[1].Datatype != "BYTES" {
			t.Errorf("answer %+v", got)
		}
		if raw := w.Body.Bytes()[n:]; !bytes.HasPrefix(raw, []byte{3, 0, 0, 0}) && !bytes.HasPrefix(raw, []byte{4, 0, 0, 0}) {
			t.Errorf("classes are packed as %q", raw)
		}
	})
}

func each(list [][]string, f func(cells []string) any) (all []any) {
	for _, cells := range list {
		all = append(all, f(cells))
	}
	return all
}

// TestBadRequests checks the status and the message of requests that are wrong.
func TestBadRequests(t *testing.T) {
	o := options(t, "clicks="+trained(t, clicksConfig, 1), "reviews="+trained(t, reviewsConfig, 1))
	o.Rows, o.Values = 5, 100
	s := start(t, o)
	const row = `{"user":"u1","ad":101,"tags":["new"],"price":2.5}`
	input := func(change string) string {
		all := map[string]string{
			"user": `{"name":"user","shape":[1],"datatype":"BYTES","data":["u1"]}`, "ad": `{"name":"ad","shape":[1],"datatype":"INT64","data":[101]}`,
			"tags": `{"name":"tags","shape":[1],"datatype":"BYTES","data":["new"]}`, "price": `{"name":"price","shape":[1],"datatype":"FP64","data":[2.5]}`,
		}
		var list []string
		for _, name := range header[1:] {
			if strings.Contains(change, `"name":"`+name+`"`) {
				all[name] = change
			}
			list = append(list, all[name])
		}
		return `{"inputs":[` + strings.Join(list, ",") + `]}`
	}
	const score, infer = "/v1/score", "/v2/models/clicks/infer"
	for _, tc := range []struct {
		method, path, body string
		code               int
		want               string
	}{
		{"POST", score, `{"model":"clicks","rows":[` + row + `]}`, 200, ""},
		{"POST", infer, input(""), 200, ""},
		{"POST", score, `{"model":"clicks","rows":[]}`, 200, ""},
		{"POST", score, ``, 400, "it is empty"},
		{"POST", score, `[]`, 400, "it is a JSON array; want an object"},
		{"POST", score, `null`, 400, `"rows" is missing`},
		{"POST", score, `{"rows":[`, 400, "its JSON ends too early"},
		{"POST", score, `{"rows":}`, 400, "missing value after object name, at byte 8"},
		{"POST", score, `{"rows":[x]}`, 400, "invalid character 'x' at start of value, at byte 9"},
		{"POST", score, `{"model":"clicks","rows":[],"rows":[]}`, 400, `"rows" is there twice`},
		{"POST", score, `{"model":7}`, 400, `"model" is a JSON number, which it cannot be`},
		{"POST", score, `{"model":"clicks","rows":[],"k":1.5}`, 400, `"k" is a JSON number 1.5, which it cannot be`},
		{"POST", score, `{"model":"clicks","rows":[` + row + `]} {}`, 400, "there is more after its JSON"},
		{"POST", score, `{"model":"clicks","rows":[` + row + `],"row":1}`, 400, `unknown field "row"`},
		{"POST", score, `{"model":"clicks","rows":{}}`, 400, `"rows" is a JSON object`},
		{"POST", score, "{\"model\":\"cl\xffcks\"}", 400, "no UTF-8"},
		{"POST", score, `{"rows":[` + row + `]}`, 400, `"model" is missing; there are clicks, reviews`},
		{"POST", score, `{"model":"click","rows":[` + row + `]}`, 404, `there is no model "click"`},
		{"POST", score, `{"model":"clicks","rows":[` + row + `],"k":3}`, 400, "/v1/recommend"},
		{"POST", "/v1/recommend", `{"model":"clicks","rows":[` + row + `]}`, 400, "POST /v1/score"},
		{"POST", score, `{"model":"clicks","rows":[` + row + `,7]}`, 400, "row 1: is no JSON object"},
		{"POST", score, `{"model":"clicks","rows":[null]}`, 400, "row 0: is no JSON object"},
		{"POST", score, `{"model":"clicks","rows":[` + row + `,` + strings.Replace(row, "2.5", `"cheap"`, 1) + `]}`, 400, `row 1: column price: "cheap"`},
		{"POST", score, `{"model":"clicks","rows":[` + strings.Replace(row, `"price":2.5`, `"prise":2`, 1) + `]}`, 400, "row 0: column price: is missing"},
		{"POST", score, `{"model":"clicks","rows":[` + strings.Replace(row, `2.5`, `2,"prise":2`, 1) + `]}`, 400, "there is no such column; did you mean \"price\"?"},
		{"POST", score, `{"model":"clicks","rows":[` + strings.Replace(row, `2.5`, `2,"price":2`, 1) + `]}`, 400, "row 0: has a column twice"},
		{"POST", score, `{"model":"clicks","rows":[` + strings.Replace(row, `2.5`, `true`, 1) + `]}`, 400, "row 0: column price: true and false are no values"},
		{"POST", score, `{"model":"clicks","rows":[` + strings.Replace(row, `2.5`, `{"a":1}`, 1) + `]}`, 400, "column price: an object is no value"},
		{"POST", score, `{"model":"clicks","rows":[` + strings.Replace(row, `"new"`, `["a"]`, 1) + `]}`, 400, "column tags: value 0 of the list: a list of lists"},
		{"POST", score, `{"model":"clicks","rows":[` + strings.Replace(row, `101`, `[1,2]`, 1) + `]}`, 400, "column ad: a list of values in a column that has one"},
		{"POST", score, `{"model":"clicks","rows":[` + strings.Replace(row, `u1`, `\u0000`, 1) + `]}`, 400, "column user: holds a NUL byte"},
		{"POST", score, `{"model":"clicks","rows":[{},{},{},{},{},{}]}`, 400, "6 rows: a request may have 5"},
		{"POST", score, `{"model":"clicks","rows":[` + strings.Repeat("{},", 100) + `{}]}`, 400, "more than 100 values"},
		{"POST", score, `{"model":"reviews","rows":[{"sentence":"a","label":"?"}]}`, 200, ""},
		{"GET", score, ``, 405, "want POST"},
		{"PUT", "/", ``, 405, "want GET or POST"},
		{"DELETE", "/v2/models/clicks", ``, 405, "want GET"},
		{"GET", "/v3", ``, 404, `nothing at "/v3"`},
		{"POST", "/v2/models/none/infer", input(""), 404, `no model "none"`},
		{"POST", "/v2/models/clicks/versions/9/infer", input(""), 404, `no version "9"`},
		{"POST", infer, `{}`, 400, `"inputs" is missing`},
		{"POST", infer, `{"inputs":[{"name":"user","shape":[1],"datatype":"BYTES","data":["u1"]}]}`, 400, "columns ad, tags, price are missing"},
		{"POST", infer, input(`{"name":"ad","shape":[2],"datatype":"INT64","data":[101,102]}`), 400, `input "ad" has 2 rows, input "user" 1`},
		{"POST", infer, input(`{"name":"ad","shape":[1],"datatype":"INT64","data":[101,102]}`), 400, "has 2 values, its shape [1] wants 1"},
		{"POST", infer, input(`{"name":"ad","shape":[1,2],"datatype":"INT64","data":[101,102]}`), 400, "row 0: column ad: has 2 values in a row"},
		{"POST", infer, input(`{"name":"ad","shape":[],"datatype":"INT64","data":[101]}`), 400, "0 dimensions"},
		{"POST", infer, input(`{"name":"ad","shape":[1,1,1],"datatype":"INT64","data":[101]}`), 400, "3 dimensions"},
		{"POST", infer, input(`{"name":"ad","shape":[-1],"datatype":"INT64","data":[101]}`), 400, "out of range"},
		{"POST", infer, input(`{"name":"ad","shape":[1],"datatype":"INT9","data":[101]}`), 400, `type "INT9"; want one of BYTES, FP32`},
		{"POST", infer, input(`{"name":"ad","shape":[1],"datatype":"INT8","data":[128]}`), 400, "value 0 is no INT8"},
		{"POST", infer, input(`{"name":"ad","shape":[1],"datatype":"UINT8","data":[-1]}`), 400, "value 0 is no UINT8"},
		{"POST", infer, input(`{"name":"ad","shape":[1],"datatype":"INT64","data":["101"]}`), 400, "value 0 is no INT64"},
		{"POST", infer, input(`{"name":"ad","shape":[1],"datatype":"BYTES","data":[101]}`), 400, "value 0 is no BYTES"},
		{"POST", infer, input(`{"name":"ad","shape":[1],"datatype":"INT64","data":[[101]]}`), 400, "nested otherwise"},
		{"POST", infer, input(`{"name":"ad","shape":[1],"datatype":"INT64"}`), 400, `no "data"`},
		{"POST", infer, input(`{"name":"ad","shape":[1],"datatype":"INT64","data":7}`), 400, `"data" is no list`},
		{"POST", infer, input(`{"name":"ad","shape":[1],"datatype":"FP32","data":[1e99]}`), 400, "value 0 is no FP32"},
		{"POST", infer, input(`{"name":"tags","shape":[1],"datatype":"BYTES","data":["[[1]]"]}`), 400, "a list of lists"},
		{"POST", infer, input(`{"name":"tags","shape":[1,70000],"datatype":"BYTES","data":[]}`), 400, "too many values"},
		{"POST", infer, input(`{"name":"user","shape":[0],"datatype":"BYTES","data":[]}`), 400, `has 1 rows, input "user" 0`},
		{"POST", infer, input(`{"name":"user","shape":[4000000000],"datatype":"BYTES","data":[]}`), 400, "out of range"},
		{"POST", infer, input(`{"name":"user","shape":[2000000000],"datatype":"BYTES","data":[]}`), 400, "a request may have 5"},
		{"POST", infer, strings.Replace(input(""), `"ad"`, `"user"`, 1), 400, `input "user" is there twice`},
		{"POST", infer, strings.Replace(input(""), `}]}`, `}],"outputs":[{"name":"x"}]}`, 1), 400, `no output "x"`},
		{"POST", infer, `{"inputs":7}`, 400, `"inputs" is a JSON number`},
	} {
		w := ask(s, tc.method, tc.path, tc.body)
		var fault struct {
			Error  string
			Row    *int
			Column string
		}
		if err := json.Unmarshal(w.Body.Bytes(), &fault); err != nil || w.Code != tc.code || !strings.Contains(fault.Error, tc.want) {
			t.Errorf("%s %s %.150s: status %d, error %q, want %d, %q", tc.method, tc.path, tc.body, w.Code, fault.Error, tc.code, tc.want)
		}
		if strings.HasPrefix(tc.want, "row 1: column price") && (fault.Row == nil || *fault.Row != 1 || fault.Column != "price") {
			t.Errorf("the row and the column are %v and %s", fault.Row, fault.Column)
		}
		if tc.code == 405 && w.Header().Get("Allow") == "" {
			t.Errorf("%s %s: no Allow", tc.method, tc.path)
		}
	}
	for _, tc := range []struct{ name, value string }{{"Content-Encoding", "gzip"}} {
		want(t, ask(s, "POST", score, row, tc.name, tc.value), 415, nil)
	}
	want(t, ask(s, "POST", score, `{"model":"clicks","rows":[`+row+`]}`, "Sec-Fetch-Site", "cross-site"), 403, nil)
	want(t, ask(s, "POST", score, `{"model":"clicks","rows":[`+row+`]}`, "Origin", "http://evil.example"), 403, nil)
}

// TestManyInputs checks that a small request does not make many rows of many inputs.
func TestManyInputs(t *testing.T) {
	s := start(t, options(t, "m="+trained(t, clicksConfig, 1)))
	for _, tc := range []struct {
		inputs, rows int
		want         string
	}{{1005, 0, "1005 inputs, at most 1004"}, {1004, 4096, "4096 rows of 1004 inputs"}} {
		var list []string
		for i := range tc.inputs {
			list = append(list, fmt.Sprintf(`{"name":"c%d","shape":[%d],"datatype":"BYTES","data":[]}`, i, tc.rows))
		}
		var fault struct{ Error string }
		want(t, ask(s, "POST", "/v2/models/m/infer", `{"inputs":[`+strings.Join(list, ",")+`]}`), 400, &fault)
		if !strings.Contains(fault.Error, tc.want) {
			t.Errorf("error %q, want one with %q", fault.Error, tc.want)
		}
	}
}

// TestDigitsStay checks that integers beyond a float64's digits are not rounded.
func TestDigitsStay(t *testing.T) {
	s := start(t, options(t, "clicks="+trained(t, clicksConfig, 1)))
	// What clients send as FP32 has the digits of that type.
	infer := func(datatype, ad string) any {
		var got inferReply
		body := `{"inputs":[{"name":"user","shape":[1],"datatype":"BYTES","data":["u1"]},{"name":"tags","shape":[1],"datatype":"BYTES","data":[""]},
			{"name":"price","shape":[1],"datatype":"INT8","data":[1]},{"name":"ad","shape":[1],"datatype":"` + datatype + `","data":[` + ad + `]}]}`
		want(t, ask(s, "POST", "/v2/models/clicks/infer", body), 200, &got)
		return got.Outputs[0].Data.([]any)[0]
	}
	if a, b := infer("FP32", "0.30000001192092896"), infer("BYTES", `"0.3"`); a != b {
		t.Errorf("an FP32 scores %v, its digits %v", a, b)
	}
	if a, b := infer("FP64", "0.30000001192092896"), infer("BYTES", `"0.3"`); a == b {
		t.Errorf("an FP64 with more digits scores %v: another bucket has another score", a)
	}
	score := func(ad string) any {
		var got scores
		want(t, ask(s, "POST", "/v1/score", `{"rows":[{"user":"u1","ad":`+ad+`,"tags":null,"price":1}]}`), 200, &got)
		return got.Scores[0]
	}
	if a, b := score("9007199254740993"), score(`"9007199254740993"`); a != b {
		t.Errorf("a number scores %v, its digits %v", a, b)
	}
	if a, b := score("9007199254740993"), score("9007199254740992"); a == b {
		t.Errorf("two numbers score %v: another bucket has another score", a)
	}
}
