package serve

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/splice-ml/splice"
	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/bound"
)

// The Open Inference Protocol, KServe's V2 over REST: https://github.com/kserve/open-inference-protocol. Tensors are a row of values for each row
// of the model's data, by column.

// Types of tensors that are sent.
const (
	bytesType  = "BYTES"
	floatType  = "FP32"
	numberType = "FP64" // of columns of numbers: it holds what a file has
)

// tensorInfo describes an input or an output.
type tensorInfo struct {
	Name     string `json:"name"`
	Datatype string `json:"datatype"`
	Shape    []int  `json:"shape"` // -1: any size
}

// modelInfo is the metadata of a model.
type modelInfo struct {
	Name     string       `json:"name"`
	Versions []string     `json:"versions"`
	Platform string       `json:"platform"`
	Inputs   []tensorInfo `json:"inputs"`
	Outputs  []tensorInfo `json:"outputs"`
}

// tensor is an input of a request, or an output of an answer.
type tensor struct {
	Name       string          `json:"name"`
	Datatype   string          `json:"datatype"`
	Shape      []int64         `json:"shape"`
	Parameters parameters      `json:"parameters,omitzero"`
	Data       json.RawMessage `json:"data,omitempty"`
}

// parameters are those of requests, inputs and outputs that mean something here.
type parameters struct {
	BinarySize   *int  `json:"binary_data_size,omitempty"`   // of a tensor: its bytes behind the JSON
	Binary       *bool `json:"binary_data,omitempty"`        // of an output: send it behind the JSON
	BinaryOutput *bool `json:"binary_data_output,omitempty"` // of a request: send all outputs so
	K            *int  `json:"k,omitempty"`                  // of a request: items of a row
}

type inferRequest struct {
	ID         string     `json:"id"`
	Parameters parameters `json:"parameters"`
	Inputs     []tensor   `json:"inputs"`
	Outputs    []tensor   `json:"outputs"`
}

type inferReply struct {
	ModelName    string   `json:"model_name"`
	ModelVersion string   `json:"model_version"`
	ID           string   `json:"id,omitempty"`
	Outputs      []tensor `json:"outputs"`
}

// describe returns the metadata of a version.
func describe(name string, v *version) modelInfo {
	info := modelInfo{Name: name, Versions: []string{v.short()}, Platform: "splice", Inputs: []tensorInfo{}}
	for _, c := range v.columns {
		t := tensorInfo{Name: c.Name, Datatype: bytesType, Shape: []int{-1}}
		switch c.Type {
		case data.NumberValue:
			t.Datatype = numberType
		case data.ListValue:
			t.Shape = []int{-1, -1}
		}
		info.Inputs = append(info.Inputs, t)
	}
	switch v.output {
	case splice.OutputClass:
		info.Outputs = []tensorInfo{{"class", bytesType, []int{-1}}, {"probability", floatType, []int{-1}}}
	case splice.OutputItems:
		info.Outputs = []tensorInfo{{"items", bytesType, []int{-1, -1}}, {"scores", floatType, []int{-1, -1}}}
	case splice.OutputTasks:
		for _, name := range v.run.Tasks() {
			info.Outputs = append(info.Outputs, tensorInfo{taskOutput + name, floatType, []int{-1}})
		}
	default:
		info.Outputs = []tensorInfo{{"score", floatType, []int{-1}}}
	}
	return info
}

// taskOutput stands before the label in the name of the output of one of several tasks.
const taskOutput = "score."

func (s *Server) metadata(c *call) error {
	return s.onModel(c, func(m *served, v *version) { reply(c.w, http.StatusOK, describe(m.Name, v)) })
}

func (s *Server) modelReady(c *call) error {
	return s.onModel(c, func(m *served, _ *version) {
		reply(c.w, http.StatusOK, map[string]any{"name": m.Name, "ready": true})
	})
}

// onModel calls do with the model and the version that the path names.
func (s *Server) onModel(c *call, do func(m *served, v *version)) error {
	m, v, err := s.find(c.PathValue("name"))
	if err != nil {
		return err
	}
	defer v.release()
	if want := c.PathValue("version"); want != "" && want != v.short() {
		return &failure{code: http.StatusNotFound, msg: fmt.Sprintf("model %s has no version %s; it has %s", m.Name, quote(want), v.short())}
	}
	do(m, v)
	return nil
}

func (s *Server) infer(c *call) (err error) {
	body, err := s.body(c)
	if err != nil {
		return err
	}
	found := s.onModel(c, func(m *served, v *version) { err = s.inferWith(c, body, m.Name, v) })
	if found != nil {
		return found
	}
	return err
}

func (s *Server) inferWith(c *call, body []byte, name string, v *version) error {
	body, behind, err := splitBody(body, c.Header.Get(headerLength))
	if err != nil {
		return err
	}
	var req inferRequest
	if err := s.decode(body, &req); err != nil {
		return err
	}
	rows, err := s.inputRows(req.Inputs, behind, v)
	if err != nil {
		return err
	}
	k := 0
	if v.output == splice.OutputItems {
		k = defaultItems
		if req.Parameters.K != nil {
			k = *req.Parameters.K
		}
		if err := s.checkItems(k); err != nil {
			return err
		}
	}
	wanted, err := wantedOutputs(&req, describe(name, v).Outputs)
	if err != nil {
		return err
	}
	a, err := s.ask(c, v, rows, k)
	if err != nil {
		return err
	}
	out := inferReply{ModelName: name, ModelVersion: v.short(), ID: req.ID, Outputs: []tensor{}}
	var tail []byte
	for _, want := range wanted {
		of := a
		if v.output == splice.OutputTasks {
			of = a.task(slices.Index(v.run.Tasks(), strings.TrimPrefix(want.Name, taskOutput)))
		}
		t, raw := of.tensor(want.Name, want.binary)
		tail = append(tail, raw...)
		out.Outputs = append(out.Outputs, t)
	}
	if tail == nil {
		reply(c.w, http.StatusOK, out)
		return nil
	}
	return replyBinary(c.w, out, tail)
}

// wantedOutput is an output that a request wants, and how.
type wantedOutput struct {
	tensorInfo
	binary bool
}

func wantedOutputs(req *inferRequest, have []tensorInfo) ([]wantedOutput, error) {
	all := req.Parameters.BinaryOutput != nil && *req.Parameters.BinaryOutput
	var list []wantedOutput
	if len(req.Outputs) == 0 {
		for _, t := range have {
			list = append(list, wantedOutput{t, all})
		}
		return list, nil
	}
	for _, o := range req.Outputs {
		i := slices.IndexFunc(have, func(t tensorInfo) bool { return t.Name == o.Name })
		if i < 0 || slices.ContainsFunc(list, func(w wantedOutput) bool { return w.Name == o.Name }) {
			return nil, refuse("there is no output %s, or it is wanted twice; there are %s", quote(o.Name), names(have))
		}
		binary := all
		if o.Parameters.Binary != nil {
			binary = *o.Parameters.Binary
		}
		list = append(list, wantedOutput{have[i], binary})
	}
	return list, nil
}

func names(list []tensorInfo) string {
	var names []string
	for _, t := range list {
		names = append(names, t.Name)
	}
	return strings.Join(names, ", ")
}

// inputRows returns the rows that tensors have.
func (s *Server) inputRows(inputs []tensor, behind []byte, v *version) ([]splice.Row, error) {
	if len(inputs) == 0 {
		return nil, refuse(`"inputs" is missing or empty; want a tensor for each column`)
	}
	if most := len(v.columns) + besides; len(inputs) > most {
		return nil, refuse("%d inputs, at most %d are possible", len(inputs), most)
	}
	var rows []splice.Row
	for i := range inputs {
		t := &inputs[i]
		n, width, err := shape(t)
		if err != nil {
			return nil, err
		}
		if i == 0 {
			if err := s.count(n); err != nil {
				return nil, err
			}
			if n*len(inputs) > s.Values {
				return nil, refuse("%d rows of %d inputs are more than %d values: send fewer rows at once", n, len(inputs), s.Values)
			}
			rows = make([]splice.Row, n)
			for k := range rows {
				rows[k] = make(splice.Row, len(inputs))
			}
		}
		if n != len(rows) {
			return nil, refuse("input %s has %d rows, input %s %d", quote(t.Name), n, quote(inputs[0].Name), len(rows))
		}
		if n*width > s.Values {
			return nil, refuse("input %s has %d values, at most %d are possible", quote(t.Name), n*width, s.Values)
		}
		if slices.ContainsFunc(inputs[:i], func(u tensor) bool { return u.Name == t.Name }) {
			return nil, refuse("input %s is there twice", quote(t.Name))
		}
		values, err := t.values(&behind, n*width)
		if err != nil {
			return nil, err
		}
		list := slices.ContainsFunc(v.columns, func(c splice.Column) bool { return c.Name == t.Name && c.Type == data.ListValue })
		for k := range rows {
			if rows[k][t.Name], err = cell(values[k*width:(k+1)*width], list); err != nil {
				return nil, &data.ValueError{Row: k, Column: t.Name, Msg: err.Error()}
			}
		}
	}
	if len(behind) > 0 {
		return nil, refuse("%d bytes behind the JSON are of no input", len(behind))
	}
	return rows, nil
}

// besides is how many inputs a request may have beside the columns, such as labels.
const besides = 1000

// mostWidth bounds the values of a row in a tensor, as lists are bounded.
const mostWidth = 1 << 16

// shape returns the rows of an input and the values of each.
func shape(t *tensor) (n, width int, err error) {
	bad := func(why string) error {
		return refuse("input %s has shape %v: %s; want [n] or [n, 1], or for a column of lists [n, k]", quote(t.Name), t.Shape, why)
	}
	if len(t.Shape) < 1 || len(t.Shape) > 2 {
		return 0, 0, bad("it has " + strconv.Itoa(len(t.Shape)) + " dimensions")
	}
	for _, d := range t.Shape {
		if d < 0 || d > math.MaxInt32 {
			return 0, 0, bad("a size is out of range")
		}
	}
	width = 1
	if len(t.Shape) == 2 {
		if width = int(t.Shape[1]); width > mostWidth {
			return 0, 0, bad("a row has too many values")
		}
	}
	return int(t.Shape[0]), width, nil
}

// cell returns the value of a column that has these values in a row. A column of lists takes several, or one that is the cell of a file or a JSON
// array.
func cell(values []any, list bool) (any, error) {
	if len(values) == 1 {
		if text, ok := values[0].(string); ok && list && strings.HasPrefix(text, "[") {
			if array, ok := jsonArray(text); ok {
				if bad := fault(array, true); bad != "" {
					return nil, fmt.Errorf("%s", bad)
				}
				return array, nil
			}
		}
		return values[0], nil
	}
	if !list {
		return nil, fmt.Errorf("has %d values in a row; the column has one", len(values))
	}
	return values, nil // of a list, blanks are left out when it is encoded
}

func jsonArray(text string) (any, bool) {
	var array []any
	if bound.Values([]byte(text), mostWidth) != nil {
		return nil, false
	}
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	if dec.Decode(&array) != nil || dec.More() || array == nil {
		return nil, false
	}
	return array, true
}

// values returns the values of an input: n of them, or an error.
func (t *tensor) values(behind *[]byte, n int) ([]any, error) {
	if t.Parameters.BinarySize != nil {
		size := *t.Parameters.BinarySize
		switch {
		case len(t.Data) > 0:
			return nil, refuse("input %s has its data twice, in the JSON and behind it", quote(t.Name))
		case size < 0 || size > len(*behind):
			return nil, refuse("input %s has %d bytes behind the JSON, where %d are left", quote(t.Name), size, len(*behind))
		}
		raw := (*behind)[:size]
		*behind = (*behind)[size:]
		return t.unpack(raw, n)
	}
	if _, ok := sizes[t.Datatype]; !ok {
		return nil, t.unknownType()
	}
	var all any
	dec := json.NewDecoder(bytes.NewReader(t.Data))
	dec.UseNumber()
	if err := dec.Decode(&all); err != nil {
		return nil, refuse(`input %s has no "data"`, quote(t.Name))
	}
	list, ok := all.([]any)
	if !ok {
		return nil, refuse(`input %s: "data" is no list`, quote(t.Name))
	}
	values, err := t.flatten(make([]any, 0, min(n, len(t.Data))), list, 1)
	if err == nil && len(values) != n {
		err = refuse("input %s has %d values, its shape %v wants %d", quote(t.Name), len(values), t.Shape, n)
	}
	return values, err
}

// flatten appends the values of lists, which may be nested as the shape is.
func (t *tensor) flatten(dst, list []any, depth int) ([]any, error) {
	for _, v := range list {
		if inner, ok := v.([]any); ok {
			if depth == len(t.Shape) || len(t.Shape) == 2 && int64(len(inner)) != t.Shape[1] {
				return nil, refuse("input %s: its lists are nested otherwise than its shape %v says", quote(t.Name), t.Shape)
			}
			var err error
			if dst, err = t.flatten(dst, inner, depth+1); err != nil {
				return nil, err
			}
			continue
		}
		if !t.holds(v) {
			return nil, refuse("input %s: value %d is no %s", quote(t.Name), len(dst), t.Datatype)
		}
		if x, ok := v.(json.Number); ok && t.Datatype == floatType {
			f, err := strconv.ParseFloat(x.String(), 32)
			if err != nil {
				return nil, refuse("input %s: value %d is no %s", quote(t.Name), len(dst), t.Datatype)
			}
			v = float32(f) // which clients write with the digits of a float64
		}
		dst = append(dst, v)
	}
	return dst, nil
}

// holds reports whether a value of JSON is one of the tensor's type. Null is a blank of any.
func (t *tensor) holds(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		return t.Datatype == bytesType
	case json.Number:
		if bits, ok := strings.CutPrefix(t.Datatype, "UINT"); ok {
			size, _ := strconv.Atoi(bits)
			_, err := strconv.ParseUint(v.String(), 10, size)
			return err == nil
		}
		if bits, ok := strings.CutPrefix(t.Datatype, "INT"); ok {
			size, _ := strconv.Atoi(bits)
			_, err := strconv.ParseInt(v.String(), 10, size)
			return err == nil
		}
		return t.Datatype != bytesType
	}
	return false
}

// task returns the scores of one of several tasks as an answer.
func (a answer) task(k int) answer {
	out := answer{scores: make([]float64, len(a.tasks))}
	for i, scores := range a.tasks {
		out.scores[i] = scores[k]
	}
	return out
}

// tensor returns an output, in JSON or packed.
func (a answer) tensor(name string, binary bool) (t tensor, raw []byte) {
	var text []string
	var numbers []float32
	t = tensor{Name: name, Datatype: floatType, Shape: []int64{int64(max(len(a.scores), len(a.classes), len(a.items)))}}
	width := 0 // items of the longest list: shorter ones end with blanks
	for _, list := range a.items {
		width = max(width, len(list))
	}
	switch name {
	case "probability":
		for _, c := range a.classes {
			numbers = append(numbers, float32(c.Probability))
		}
	case "class":
		for _, c := range a.classes {
			text = append(text, c.Name)
		}
	case "items", "scores":
		t.Shape = append(t.Shape, int64(width))
		for _, list := range a.items {
			for j := range width {
				item := splice.Item{Score: -math.MaxFloat32}
				if j < len(list) {
					item = list[j]
				}
				text, numbers = append(text, item.Name), append(numbers, float32(item.Score))
			}
		}
	default: // score, or that of a task
		numbers = float32s(a.scores)
	}
	var values any = append([]float32{}, numbers...)
	if name == "items" || name == "class" {
		t.Datatype, values = bytesType, append([]string{}, text...)
	}
	if binary {
		if raw = packFloats(numbers); t.Datatype == bytesType {
			raw = packTexts(text)
		}
		size := len(raw)
		t.Parameters.BinarySize = &size
		return t, raw
	}
	t.Data, _ = json.Marshal(values) // of strings and finite numbers
	return t, nil
}
