package cmd_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/train/ckpt"
)

// finetune runs cmd/finetune and fails the test if that does not succeed.
func finetune(t *testing.T, dir string, args ...string) out {
	t.Helper()
	o := execute(t, dir, "finetune", args...)
	if o.code != 0 {
		t.Fatalf("finetune %v: exit %d\n%s", args, o.code, o.stderr)
	}
	return o
}

func model(t *testing.T, path ...string) *ckpt.Checkpoint {
	t.Helper()
	c, err := ckpt.Load(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

type tableOf struct {
	Name          string
	Rows, Matched int
}

// startOf is start.json.
type startOf struct {
	From, File, Digest  string
	Missing, Unexpected []string
	Tables              []tableOf
	Valid               map[string]float64
	Teachers            []struct{ From, Digest string }
}

func decode[T any](t *testing.T, path ...string) T {
	t.Helper()
	var v T
	if err := json.Unmarshal(read(t, path...), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// Training on from a run without a config begins where the run ended, for one epoch.
func TestFinetune(t *testing.T) {
	dir := workspace(t, 4000)
	train(t, dir, "r", "--set", "train.epochs=1")
	base := decode[struct{ Valid map[string]float64 }](t, dir, "r", "result.json")
	o := finetune(t, dir, "--from", "r", "--set", "train.learning_rate=0.003")
	res := decode[struct {
		Steps        int
		Start, Valid map[string]float64
	}](t, dir, "r-finetuned", "result.json")
	if res.Steps != 22 {
		t.Errorf("%d steps, want those of one epoch, 22", res.Steps)
	}
	if math.Abs(res.Start["auc"]-base.Valid["auc"]) > 1e-12 {
		t.Errorf("starting weights have auc %v, the run ended with %v", res.Start["auc"], base.Valid["auc"])
	}
	if res.Valid["auc"] <= base.Valid["auc"] {
		t.Errorf("a second epoch took auc from %v to %v", base.Valid["auc"], res.Valid["auc"])
	}
	if !strings.Contains(o.stdout, "before, the starting weights: auc ") {
		t.Errorf("the output does not compare with the start:\n%s", o.stdout)
	}
	if !bytes.Equal(read(t, dir, "r", "features.json.zst"), read(t, dir, "r-finetuned", "features.json.zst")) {
		t.Error("another feature map")
	}
	if o := execute(t, dir, "evaluate", "--run", "r-finetuned"); o.code != 0 {
		t.Errorf("evaluate: exit %d\n%s", o.code, o.stderr)
	}

	// A run of a run: what only the first one's length makes sense of does not go over.
	finetune(t, dir, "--from", "r-finetuned", "--set", "train.max_steps=3", "--set", "train.swa_start=1", "--run", "again")
	finetune(t, dir, "--from", "again")
	if steps := decode[struct{ Steps int }](t, dir, "again-finetuned", "result.json").Steps; steps != 22 {
		t.Errorf("%d steps after a run of 3, want those of one epoch, 22", steps)
	}

	// One that is worse than its start says so.
	bad := finetune(t, dir, "--from", "r", "--run", "bad", "--set", "train.learning_rate=0.5", "--set", "train.max_steps=1")
	if !strings.Contains(bad.stdout, "the starting weights, r, are the better model") {
		t.Errorf("nothing says that training made it worse:\n%s", bad.stdout)
	}

	// The same through a config with init.
	write(t, dir, "on.yaml", config+"init: {from: r}\n")
	set := []string{"--config", "on.yaml", "--set", "train.epochs=1", "--set", "train.learning_rate=0.003"}
	for _, cmd := range []string{"train", "finetune"} {
		if o := execute(t, dir, cmd, append(set, "--run", cmd)...); o.code != 0 {
			t.Fatalf("%s: exit %d\n%s", cmd, o.code, o.stderr)
		}
		if !bytes.Equal(read(t, dir, cmd, "model.safetensors"), read(t, dir, "r-finetuned", "model.safetensors")) {
			t.Errorf("cmd/%s with init.from: other weights than finetune --from", cmd)
		}
	}
}

// Resuming goes on to the bytes of a run that was not stopped, and from no other start.
func TestFinetuneResume(t *testing.T) {
	dir := workspace(t, 3000)
	train(t, dir, "a", "--set", "train.epochs=1")
	train(t, dir, "b", "--set", "train.epochs=1", "--set", "seed=2")
	args := []string{"--from", "a", "--set", "train.epochs=2", "--set", "teacher.from=self"}
	finetune(t, dir, append(args, "--run", "whole")...)
	// Back to the state after one epoch: that of a run which had no more, under the digest of this one.
	finetune(t, dir, append(args, "--run", "one", "--set", "train.max_steps=17", "--set", "train.checkpoint_steps=17")...)
	one, other := decode[map[string]any](t, dir, "one", "last", "state.json"), decode[map[string]any](t, dir, "whole", "last", "state.json")
	one["digest"], one["done"] = other["digest"], false
	b, err := json.Marshal(one)
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, "one/last/state.json", string(b))
	whole := read(t, dir, "whole", "model.safetensors")
	finetune(t, dir, append(args, "--run", "one", "--resume")...)
	if !bytes.Equal(read(t, dir, "one", "model.safetensors"), whole) {
		t.Error("the resumed run has other weights than the whole one")
	}

	before := read(t, dir, "whole", "start.json")
	for _, tc := range []struct {
		name string
		args []string
		want string
	}{
		{"another start", []string{"--from", "b", "--set", "train.epochs=2", "--set", "teacher.from=self"}, "started from other weights"},
		{"another teacher", []string{"--from", "a", "--set", "train.epochs=2", "--set", "teacher.from=b"}, "other teachers"},
		{"no teacher", []string{"--from", "a", "--set", "train.epochs=2"}, "other teachers"},
		{"another rate", append(args, "--set", "train.learning_rate=0.5"), "another config"},
	} {
		if tc.name == "another teacher" { // a teacher has to have the map
			finetune(t, dir, "--from", "a", "--run", "c", "--set", "train.epochs=1")
			tc.args[len(tc.args)-1] = "teacher.from=c"
		}
		o := execute(t, dir, "finetune", append(tc.args, "--run", "whole", "--resume")...)
		if o.code != 2 || !strings.Contains(o.stderr, tc.want) {
			t.Errorf("%s: exit %d, want 2 and %q\n%s", tc.name, o.code, tc.want, o.stderr)
		}
	}
	if !bytes.Equal(read(t, dir, "whole", "model.safetensors"), whole) || !bytes.Equal(read(t, dir, "whole", "start.json"), before) {
		t.Error("a refused resume changed the run")
	}

	// The same path, other weights in it.
	if err := os.CopyFS(filepath.Join(dir, "moved"), os.DirFS(filepath.Join(dir, "a"))); err != nil {
		t.Fatal(err)
	}
	finetune(t, dir, "--from", "moved", "--run", "m")
	write(t, dir, "moved/model.safetensors", string(read(t, dir, "whole", "model.safetensors")))
	if o := execute(t, dir, "finetune", "--from", "moved", "--run", "m", "--resume"); o.code != 2 ||
		!strings.Contains(o.stderr, "other weights") {
		t.Errorf("weights changed under the same name: exit %d\n%s", o.code, o.stderr)
	}
}

// Frozen parameters stay bit for bit, the others do not.
func TestFinetuneFreeze(t *testing.T) {
	dir := workspace(t, 3000)
	train(t, dir, "r", "--set", "train.epochs=1")
	finetune(t, dir, "--from", "r", "--set", "train.freeze=[embedding.*]")
	was, is := model(t, dir, "r", "model.safetensors"), model(t, dir, "r-finetuned", "model.safetensors")
	for _, x := range was.Tensors {
		same := slices.Equal(x.Data, is.Get(x.Name).Data)
		if frozen := strings.HasPrefix(x.Name, "embedding."); frozen != same && (frozen || strings.HasSuffix(x.Name, ".weight")) {
			t.Errorf("tensor %s: unchanged %v", x.Name, same)
		}
	}
}

// A model that learns from itself alone stays nearer to itself than one that learns from the labels.
func TestFinetuneTeacher(t *testing.T) {
	dir := workspace(t, 3000)
	train(t, dir, "a", "--set", "train.epochs=2", "--set", "model.net_dropout=0")
	finetune(t, dir, "--from", "a", "--run", "hard")
	finetune(t, dir, "--from", "a", "--run", "soft", "--set", "teacher={from: self, weight: 1}")
	finetune(t, dir, "--from", "a", "--run", "team", "--set", "teacher={from: [self, hard], temperature: 2, mode: probabilities}")
	was := model(t, dir, "a", "model.safetensors")
	away := func(name string) float64 {
		is, d := model(t, dir, name, "model.safetensors"), 0.
		for _, x := range was.Tensors {
			for i, v := range is.Get(x.Name).Data {
				if strings.HasPrefix(x.Name, "linear") || strings.HasPrefix(x.Name, "fc") {
					d += math.Pow(float64(v-x.Data[i]), 2)
				}
			}
		}
		return math.Sqrt(d)
	}
	hard, soft := away("hard"), away("soft")
	if !(soft > 0 && soft < hard) {
		t.Errorf("weights moved by %v with the labels, by %v with the model itself as teacher", hard, soft)
	}
	st, own := decode[startOf](t, dir, "team", "start.json"), decode[startOf](t, dir, "soft", "start.json")
	if len(st.Teachers) != 2 || st.Teachers[0].From != "self" || st.Teachers[0].Digest != st.Digest || st.Teachers[1].Digest == st.Digest ||
		own.Digest != st.Digest {
		t.Errorf("start.json: %+v", st)
	}
}

// A start with another vocabulary: with its own feature map every row is the same; with a new map rows are matched by token.
func TestInitFeatures(t *testing.T) {
	dir := workspace(t, 4000)
	train(t, dir, "a", "--set", "train.epochs=1", "--set", "data.split.ratio=[0.3, 0.3, 0.4]")
	write(t, dir, "on.yaml", config+"init: {from: a, features: data}\n")
	o := do(t, command(dir, "train", "--config", "on.yaml", "--run", "b", "--set", "train.learning_rate=1e-30", "--set", "train.epochs=1"))
	if o.code != 0 {
		t.Fatalf("exit %d\n%s", o.code, o.stderr)
	}
	ma, mb := loadMap(t, dir, "a"), loadMap(t, dir, "b")
	ta, tb := ma.Table("C3").Tokens, mb.Table("C3").Tokens
	if len(ta) >= len(tb) || slices.Equal(ta, tb[:len(ta)]) {
		t.Fatalf("the maps should differ, in order too: %q and %q", ta, tb)
	}
	a, b := model(t, dir, "a", "model.safetensors").Get("embedding.C3.weight"),
		model(t, dir, "b", "model.safetensors").Get("embedding.C3.weight")
	matched := 2
	for i, token := range tb {
		row := b.Data[(i+2)*4 : (i+3)*4]
		if k := slices.Index(ta, token); k >= 0 {
			matched++
			if !slices.Equal(row, a.Data[(k+2)*4:(k+3)*4]) {
				t.Errorf("row of token %s is not that of the start", token)
			}
		} else if slices.Max(row) > 1e-3 || slices.Min(row) < -1e-3 || slices.Max(row) == 0 {
			t.Errorf("row of the new token %s is %v, want a fresh one", token, row)
		}
	}
	st := decode[startOf](t, dir, "b", "start.json")
	i := slices.IndexFunc(st.Tables, func(x tableOf) bool { return x.Name == "embedding.C3.weight" })
	if i < 0 || st.Tables[i].Matched != matched || st.Tables[i].Rows != len(tb)+2 {
		t.Errorf("start.json: %+v, want %d rows matched", st.Tables, matched)
	}
	if want := "tensor=embedding.C3.weight rows=" + strconv.Itoa(st.Tables[i].Rows) + " matched=" + strconv.Itoa(matched); !strings.Contains(o.stderr, want) {
		t.Errorf("the log lacks %q:\n%s", want, o.stderr)
	}
	// With the start's map there is nothing to match.
	train(t, dir, "c", "--config", "on.yaml", "--set", "init.features=run", "--set", "train.epochs=1")
	if loadMap(t, dir, "c").Digest() != ma.Digest() {
		t.Error("features: run does not read with the start's map")
	}
}

func loadMap(t *testing.T, path ...string) *data.FeatureMap {
	t.Helper()
	m, err := data.LoadFeatureMap(filepath.Join(append(path, "features.json.zst")...))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// init.strict: false takes the tensors that fit.
func TestInitLoose(t *testing.T) {
	dir := workspace(t, 3000)
	train(t, dir, "fm", "--set", "model={type: fm, embedding_dim: 4}", "--set", "train.epochs=1")
	o := train(t, dir, "r", "--set", "init={from: fm, strict: false}", "--set", "train.epochs=1")
	st := decode[startOf](t, dir, "r", "start.json")
	if !slices.Contains(st.Missing, "mlp.0.weight") || slices.Contains(st.Missing, "embedding.C1.weight") {
		t.Errorf("start.json: missing %v", st.Missing)
	}
	if !strings.Contains(o.stderr, "mlp.0.weight") || !strings.Contains(o.stderr, "fresh") {
		t.Errorf("the log does not list what is missing:\n%s", o.stderr)
	}
	o = train(t, dir, "back", "--set", "model={type: fm, embedding_dim: 4}", "--set", "init={from: r, strict: false}",
		"--set", "train.epochs=1")
	if st := decode[startOf](t, dir, "back", "start.json"); !slices.Contains(st.Unexpected, "mlp.0.weight") || len(st.Missing) > 0 ||
		!strings.Contains(o.stderr, "ignored") {
		t.Errorf("start.json: %+v\n%s", st, o.stderr)
	}
}

// Bare files and the other weights of a run are starts too.
func TestInitFiles(t *testing.T) {
	dir := workspace(t, 3000)
	train(t, dir, "r", "--set", "train.keep_epochs=true", "--set", "train.ema=0.9", "--set", "train.swa_start=2")
	files := map[string]string{"epoch": "epochs/model-2.safetensors", "ema": "ema.safetensors", "swa": "swa.safetensors"}
	for name, set := range map[string]string{
		"file": "{from: r/model.safetensors}", "last": "{from: r, checkpoint: last}", "plain": "{from: bare}",
		"epoch": "{from: r, checkpoint: 2}", "ema": "{from: r, checkpoint: ema}", "swa": "{from: r, checkpoint: swa}",
	} {
		if name == "plain" {
			if err := os.Mkdir(filepath.Join(dir, "bare"), 0o777); err != nil {
				t.Fatal(err)
			}
			write(t, dir, "bare/model.safetensors", string(read(t, dir, "r", "model.safetensors")))
		}
		o := train(t, dir, name, "--set", "init="+set, "--set", "train.learning_rate=1e-30", "--set", "train.epochs=1")
		if warned := strings.Contains(o.stderr, "no feature map"); warned != (name == "plain") {
			t.Errorf("%s: warned of a missing feature map: %v\n%s", name, warned, o.stderr)
		}
		file := filepath.Join("r", cmp.Or(files[name], "model.safetensors"))
		if name == "last" {
			m, err := filepath.Glob(filepath.Join(dir, "r", "last", "model-*.safetensors"))
			if err != nil || len(m) != 1 {
				t.Fatalf("last models: %v %v", m, err)
			}
			file = filepath.Join("r", "last", filepath.Base(m[0]))
		}
		want, got := model(t, dir, file), model(t, dir, name, "model.safetensors")
		for _, x := range want.Tensors {
			if strings.HasSuffix(x.Name, ".weight") && !slices.Equal(x.Data, got.Get(x.Name).Data) {
				t.Errorf("%s: tensor %s is not that of %s", name, x.Name, file)
			}
		}
	}
}
