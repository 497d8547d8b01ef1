package serve_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/splice-ml/splice"
)

// tasksConfig is a run of two tasks over the rows of clicks, some of which have no price.
const tasksConfig = `data:
  type: csv
  path: %q
  label: [click, price]
  number_labels: price
  columns: {user: categorical, ad: {type: categorical, hash: 50}, tags: ignore}
  split: {by: order, ratio: [0.6, 0.2, 0.2]}
model: {type: mmoe, embedding_dim: 4, num_experts: 2, expert_hidden_units: [8], tower_hidden_units: [4]}
task: {type: multi_task, tasks: [{label: click}, {label: price, task: regression, weight: 0.001}]}
train: {batch_size: 32, epochs: 1, patience: 0}
seed: %d
`

// TestTasks: the scores of several tasks are those of cmd/predict, as rows in JSON and by the Open Inference Protocol, which has an output for
// each.
func TestTasks(t *testing.T) {
	dir := trained(t, tasksConfig, 1)
	lines := predictions(t, tasksConfig, "", 0, dir)[:5]
	s := start(t, options(t, "m="+dir))
	var rows []splice.Row
	for _, cells := range clicks()[:5] {
		rows = append(rows, splice.Row{"user": cells[1], "ad": cells[2]})
	}
	var got struct {
		Scores [][]float64
		Tasks  []string
	}
	want(t, ask(s, "POST", "/v1/score", marshal(map[string]any{"rows": rows})), 200, &got)
	if strings.Join(got.Tasks, " ") != "click price" || len(got.Scores) != len(rows) {
		t.Fatalf("tasks %v, %d rows", got.Tasks, len(got.Scores))
	}
	number := func(v float64) string { return strconv.FormatFloat(v, 'g', -1, 32) }
	for i, x := range got.Scores {
		if line := number(x[0]) + "\t" + number(x[1]); line != lines[i] {
			t.Errorf("row %d: scores %q, want %q", i, line, lines[i])
		}
	}
	var info struct {
		Outputs []struct {
			Name, Datatype string
			Shape          []int
		}
	}
	want(t, ask(s, "GET", "/v2/models/m", ""), 200, &info)
	if len(info.Outputs) != 2 || info.Outputs[0].Name != "score.click" || info.Outputs[1].Name != "score.price" || info.Outputs[1].Datatype != "FP32" {
		t.Errorf("outputs %+v", info.Outputs)
	}
	for _, outputs := range [][]string{nil, {"score.price"}, {"score.price", "score.click"}} {
		in := columns(clicks()[:5])[:2]
		body := map[string]any{"inputs": in}
		var wanted []map[string]string
		for _, name := range outputs {
			wanted = append(wanted, map[string]string{"name": name})
		}
		if wanted != nil {
			body["outputs"] = wanted
		} else {
			outputs = []string{"score.click", "score.price"}
		}
		var reply inferReply
		want(t, ask(s, "POST", "/v2/models/m/infer", marshal(body)), 200, &reply)
		for k, name := range outputs {
			column := 0
			if name == "score.price" {
				column = 1
			}
			for i, v := range reply.Outputs[k].Data.([]any) {
				if reply.Outputs[k].Name != name || number(v.(float64)) != strings.Split(lines[i], "\t")[column] {
					t.Errorf("output %s of row %d is %v, want %s", reply.Outputs[k].Name, i, v, lines[i])
				}
			}
		}
	}
	want(t, ask(s, "POST", "/v2/models/m/infer", marshal(map[string]any{"inputs": columns(clicks()[:1])[:2], "outputs": []map[string]string{{"name": "score"}}})), 400, nil)
	if w := ask(s, "GET", "/", ""); w.Code != 200 {
		t.Errorf("the page has status %d", w.Code)
	}
}
