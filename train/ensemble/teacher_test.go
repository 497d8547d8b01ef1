package ensemble_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/ctr"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/train"
	"github.com/splice-ml/splice/train/ckpt"
	"github.com/splice-ml/splice/train/ensemble"
	"github.com/splice-ml/splice/train/run"
	"github.com/splice-ml/splice/train/task"
)

func schema() *data.Schema {
	return &data.Schema{Features: []data.Feature{{Name: "x", Kind: data.Numeric}}, NumDense: 1}
}

// line returns parameters of the model w·x + b of these tests, with all values alike.
func line(t *testing.T, value float32) *nn.Params {
	t.Helper()
	p, err := models.NewParams(&ctr.LR{}, schema(), 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range p.All() {
		for i := range q.Data {
			q.Data[i] = value
		}
	}
	return p
}

func program(t *testing.T, p *nn.Params, batch int) *models.Program {
	t.Helper()
	prog, err := models.Compile(&ctr.LR{}, p, schema(), models.CompileOptions{Batch: batch})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { prog.Close() })
	return prog
}

func TestOpenTeachers(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, run.ModelFile)
	taught := line(t, 3)
	if err := ckpt.Save(path, train.Snapshot(taught)); err != nil {
		t.Fatal(err)
	}
	m := &data.FeatureMap{}
	binary, _ := task.Registry.Default("binary_classification")
	regression, _ := task.Registry.Default("regression")
	pupil := ensemble.Pupil{
		Dir: filepath.Join(dir, "new"), Model: &ctr.LR{}, Task: binary, Data: &data.Splits{Schema: schema(), Map: m}, Batch: 2,
		Params: line(t, 1), Digest: line(t, 1).Digest(),
	}
	teacher := func(string) (*ensemble.Run, error) {
		return &ensemble.Run{Model: &ctr.LR{}, Task: binary, Map: m, Path: path}, nil
	}
	o := ensemble.TeacherDefaults()
	none, err := ensemble.OpenTeachers(o, pupil, teacher)
	if err != nil || none.Teacher != nil || none.Close() != nil {
		t.Fatalf("no teachers: %+v, %v", none, err)
	}
	o.From = []string{"r", ensemble.Self}
	ts, err := ensemble.OpenTeachers(o, pupil, teacher)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []ensemble.TeacherRecord{{"r", taught.Digest()}, {ensemble.Self, pupil.Digest}} {
		if ts.Records[i] != want {
			t.Errorf("record %d is %v, want %v", i, ts.Records[i], want)
		}
	}
	for _, q := range pupil.Params.All() { // training changes them, not who taught
		clear(q.Data)
	}
	z, err := ts.Teach(t.Context(), &data.Batch{N: 2, Size: 2, Dense: []float32{1, 2}})
	if err != nil {
		t.Fatal(err)
	}
	if z[0] != 4 || z[1] != 6 { // (3x+3 + x+1)/2
		t.Errorf("the teachers say %v, want [4 6]", z)
	}
	if err := ts.Close(); err != nil {
		t.Error(err)
	}
	for _, tc := range []struct {
		name  string
		from  []string
		open  func(string) (*ensemble.Run, error)
		fresh bool
		want  []string
	}{
		{
			"none such",
			[]string{"a", "b"},
			func(dir string) (*ensemble.Run, error) { return nil, errors.New(dir + " is not a run") }, false,
			[]string{"teacher.from: a is not a run", "teacher.from: b is not a run"},
		},
		{"itself", []string{dir}, teacher, false, []string{"is the directory of this run"}},
		{"fresh", []string{ensemble.Self}, teacher, true, []string{"there are none but fresh ones"}},
		{"task", []string{"r"}, func(string) (*ensemble.Run, error) {
			return &ensemble.Run{Model: &ctr.LR{}, Task: regression, Map: m, Path: path}, nil
		}, false, []string{"r: was trained for regression, this run is for binary_classification"}},
		{"no model", []string{"r"}, func(string) (*ensemble.Run, error) {
			return &ensemble.Run{Model: &ctr.LR{}, Task: binary, Map: m, Path: filepath.Join(dir, "none")}, nil
		}, false, []string{"teacher.from: r: "}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p, o := pupil, o
			o.From = tc.from
			if tc.name == "itself" {
				p.Dir = dir
			}
			if tc.fresh {
				p.Digest = ""
			}
			_, err := ensemble.OpenTeachers(o, p, tc.open)
			for _, want := range tc.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("error %v, want one with %q", err, want)
				}
			}
		})
	}
}
