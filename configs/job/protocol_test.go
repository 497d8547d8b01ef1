package job_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/splice-ml/splice/configs/job"
	"github.com/splice-ml/splice/train/run"
)

// catalogued is a small run of a model that ranks all items, and sampled one of a model that scores candidates.
const (
	catalogued = `data: {type: synthetic_interactions, users: 60, items: 1200, actions: 6, rows: sequences, max_len: 4}
model: {type: gru4rec, output: catalogue, embedding_dim: 4, hidden_size: 4}
task: {type: next_item, metrics: ["hr@10", "ndcg@5", item_cross_entropy]}
train: {epochs: 1, batch_size: 16}
`
	sampled = `data: {type: synthetic_interactions, users: 60, items: 300, actions: 6, max_len: 4, negatives: 1, eval_negatives: 99}
model: {type: gru4rec, embedding_dim: 4, hidden_size: 4, hidden_units: [4]}
task: {metrics: [auc, user_auc, "hr@10"]}
train: {epochs: 1, batch_size: 64}
`
	allItems   = "all 327 items, without those that the user had"
	someOf     = "1 + 99 sampled candidates a user"
	everyOther = "all 327 items"
)

// What metrics rank is told by a training, its files and an evaluation. Runs that rank a catalogue can be measured either way, each
// alone as beside others.
func TestProtocols(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "all.yaml", catalogued)
	write(t, "some.yaml", sampled)
	for _, c := range []struct {
		call
		want string
	}{
		{call{config: "all.yaml", to: "a"}, allItems},
		{call{config: "all.yaml", to: "b", set: []string{"seed=2"}}, allItems},
		{call{config: "all.yaml", to: "c", set: []string{"task.seen=include"}}, everyOther},
		{call{config: "some.yaml", to: "d"}, someOf},
	} {
		r, _ := c.trained(t)
		file := decode[job.Result](t, c.to, run.ResultFile)
		if r.Protocol != c.want || file.Protocol != c.want {
			t.Errorf("%s: the result ranks %q, its file %q, want %q", c.to, r.Protocol, file.Protocol, c.want)
		}
		if n := strings.Count(read(t, c.to, run.MetricsFile), fmt.Sprintf(`"protocol":%q`, c.want)); n != 2 {
			t.Errorf("%s: %d lines of %s tell the protocol, want those of valid and test", c.to, n, run.MetricsFile)
		}
		s, err := evaluate(t, "", "", "test", c.to)
		if err != nil || len(s) != 1 || s[0].Protocol != c.want {
			t.Fatalf("%s: %+v, %v", c.to, s, err)
		}
		for name, v := range r.Test {
			if s[0].Metrics[name] != v {
				t.Errorf("%s: %s is %v after training and %v when evaluated", c.to, name, v, s[0].Metrics[name])
			}
		}
	}
	measure := func(candidates int, dirs ...string) []job.Scores {
		t.Helper()
		e, err := job.OpenEnsemble(dirs, nil, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		e.Candidates = candidates
		var all []job.Scores
		if err := e.Evaluate(t.Context(), "", "test", func(s job.Scores) error { all = append(all, s); return nil }); err != nil {
			t.Fatal(err)
		}
		return all
	}
	for _, n := range []int{0, 99} {
		want := someOf
		if n == 0 {
			want = allItems
		}
		both := measure(n, "a", "b")
		for i, dir := range []string{"a", "b"} {
			alone := measure(n, dir)[0]
			for name, v := range alone.Metrics {
				if got := both[i].Metrics[name]; got != v || both[i].Protocol != want || alone.Protocol != want {
					t.Errorf("%s of %s is %v beside another run, %v alone; %q and %q", name, dir, got, v, both[i].Protocol, alone.Protocol)
				}
			}
		}
		if both[2].Protocol != want {
			t.Errorf("the ensemble ranks %q", both[2].Protocol)
		}
	}
	full, few := measure(0, "a")[0].Metrics, measure(99, "a")[0].Metrics
	if !(few["hr@10"] > full["hr@10"]) || math.Abs(few["item_cross_entropy"]-math.Log(100)) > .5 {
		t.Errorf("among candidates %v, among all items %v", few, full)
	}
	among := func(dir, candidates, split string) (s job.Scores, err error) {
		t.Helper()
		e, err := job.OpenEnsemble([]string{dir}, nil, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := e.RankAmong(candidates); err != nil {
			return s, err
		}
		return s, e.Evaluate(t.Context(), "", split, func(x job.Scores) error { s = x; return nil })
	}
	all, err := among("d", "all", "test")
	some := measure(0, "d")[0]
	if err != nil || !strings.HasPrefix(all.Protocol, "all 2") || !strings.HasSuffix(all.Protocol, "that the user had") || all.Rows < 60*200 || all.Rows > 60*300 ||
		!(all.Metrics["hr@10"] < some.Metrics["hr@10"]) || math.Abs(all.Metrics["user_auc"]-some.Metrics["user_auc"]) > .1 {
		t.Errorf("among all items %+v, %v; among some %+v", all, err, some)
	}
	if x, err := among("a", "all", "test"); err != nil || x.Metrics["hr@10"] != full["hr@10"] || x.Protocol != allItems {
		t.Errorf("among all items %+v, %v, want %v", x, err, full)
	}
	for _, c := range []struct{ dir, candidates, split, want string }{
		{"d", "9", "test", "next_item"}, {"a", "-1", "", "above 0, or all"}, {"a", "some", "", "above 0, or all"}, {"d", "all", "train", "--split valid or test"},
	} {
		_, err := among(c.dir, c.candidates, c.split)
		refused(t, err, "--candidates "+c.candidates, c.want)
	}
}
