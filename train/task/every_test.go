package task_test

import (
	"math"
	"testing"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/train/task"
)

// TestEveryTask: by its defaults each registered task is valid and has metrics, and its loss falls along its gradient for the
// logits of one width that it takes.
func TestEveryTask(t *testing.T) {
	const rows = 3
	for _, name := range task.Registry.Names() {
		d, _ := task.Registry.Default(name)
		if name == "multi_task" { // which labels there are is for a config to say
			d = task.MultiTask{Tasks: []task.LabelTask{{Label: "y"}}}
		}
		if v, ok := d.(interface{ Validate() error }); !ok || v.Validate() != nil {
			t.Errorf("%s: its defaults are not valid, or nothing checks its options", name)
		}
		ms, err := d.Metrics()
		if err != nil || len(ms) == 0 {
			t.Errorf("%s: %d metrics, %v", name, len(ms), err)
		}
		works := 0
		for _, width := range []int{1, 2} {
			z := []float32{0.5, -1, 2, 0.3, -0.7, 1}[:rows*width]
			m, b, sc := table{rows: rows, z: z}, labels(rows, 1, 0, 1), &data.Schema{}
			p, err := models.Compile(m, nn.NewParams(1), sc, models.CompileOptions{Batch: rows, Loss: d.Loss})
			if err != nil {
				continue // not logits of this width: TestMistakes has the messages
			}
			p.Close()
			works++
			before, g := lossOf(t, d.Loss, m, b, sc)
			down := make([]float32, len(z))
			for i := range z {
				down[i] = z[i] - 0.1*g[i]
			}
			after, _ := lossOf(t, d.Loss, table{rows: rows, z: down}, b, sc)
			if !(after < before) || math.IsInf(before, 0) {
				t.Errorf("%s: a step along the gradient leads from loss %v to %v", name, before, after)
			}
			for r := range rows {
				if y := d.Predict(z[r*width : (r+1)*width]); math.IsNaN(float64(y)) || math.IsInf(float64(y), 0) {
					t.Errorf("%s: prediction %v of logits %v", name, y, z[r*width:(r+1)*width])
				}
			}
		}
		if _, ok := d.(task.Ranking); ok { // it reads states and a catalogue: package seq's tests have it
			continue
		}
		if works == 0 {
			t.Errorf("%s takes neither one logit a row nor two", name)
		}
	}
}
