package app_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/splice-ml/splice"
	"github.com/splice-ml/splice/cmd/internal/app"
	"github.com/splice-ml/splice/train/run"
)

// Runs that are not given as they should be are the user's mistake. Each error has the command's name.
func TestRunFlags(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, tc := range []struct {
		name string
		args []string
		want string
	}{
		{"none", nil, "sum: --run is missing: give the directory of a run, such as --run runs/criteo_deepfm"},
		{"no mean of one", []string{"--run", "a", "--ensemble", "logits"}, "sum: --ensemble is for several runs: give --run once for each"},
		{"not a run", []string{"--run", "a"}, "sum: a is not a run: it has no config.yaml"},
		{
			"no runs",
			[]string{"--run", "a", "--run", "b"},
			"sum: a is not a run: it has no config.yaml\nsum: b is not a run: it has no config.yaml",
		},
		{
			"no such mean",
			[]string{"--run", "a", "--run", "b", "--ensemble", "median"},
			`sum: --ensemble "median": want logits or probabilities`,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var runs app.RunFlags
			c, _, log := command(func(_ context.Context, c *app.Command) error {
				e, err := runs.Open(c)
				if e != nil || !errors.As(err, new(*run.InputError)) {
					t.Errorf("%v, error %T", e, err)
				}
				return err
			})
			runs.Flags(c, "`directory` of a run")
			if code := c.Exec(tc.args); code != app.ExitBadInput || log.String() != tc.want+"\n" {
				t.Errorf("exit code %d with %q, want %q", code, log, tc.want)
			}
		})
	}
}

func TestExperimentFlags(t *testing.T) {
	var o splice.Options
	c, _, _ := command(func(_ context.Context, c *app.Command) error {
		all := c.Options(o)
		if all.Log == nil || all.Show == nil || all.Downloads != nil || !all.Offline || !slices.Equal(all.Set, []string{"a=1,2", "b=3"}) {
			t.Errorf("options %+v", all)
		}
		if g := c.Config("x.yaml", o); g.File != "x.yaml" || !g.Offline || !slices.Equal(g.Set, o.Set) || g.Log == nil || g.Progress != nil {
			t.Errorf("config %+v", g)
		}
		return nil
	})
	c.ExperimentFlags(&o)
	if code := c.Exec([]string{"--set", "a=1,2", "--offline", "--set=b=3"}); code != app.ExitOK {
		t.Errorf("exit code %d", code)
	}
}
