package schedule_test

import (
	"math"
	"testing"

	"github.com/splice-ml/splice/train/schedule"
)

// TestEverySchedule: by its defaults each registered schedule starts at the base rate, stays in [0, base], and goes on from its
// state as if nothing had happened.
func TestEverySchedule(t *testing.T) {
	const base, total = 0.1, 40
	for _, name := range schedule.Types.Names() {
		d, _ := schedule.Types.Default(name)
		if v, ok := d.(interface{ Validate() error }); !ok || v.Validate() != nil {
			t.Errorf("%s: its defaults are not valid, or nothing checks its options", name)
		}
		s, resumed := d.New(base, true), d.New(base, true)
		for step := range int64(total + 1) {
			p := schedule.Progress{Step: step, Total: total, Epoch: step / 10}
			lr := s.LR(p)
			if !(lr >= 0 && lr <= base) || step == 0 && lr != base {
				t.Errorf("%s: rate %v at step %d, want one of 0 to %v, which is the first", name, lr, step, base)
			}
			if err := resumed.Load(s.State()); err != nil {
				t.Errorf("%s: state at step %d: %v", name, step, err)
			}
			if got := resumed.LR(p); math.Float64bits(got) != math.Float64bits(lr) {
				t.Errorf("%s: rate %v at step %d after resuming, %v without", name, got, step, lr)
			}
			if step%10 == 9 {
				s.Eval(0.5)
				resumed = d.New(base, true)
			}
		}
	}
}
