package serve

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/splice-ml/splice/cmd/internal/app"
	"github.com/splice-ml/splice/train/run"
)

// Command returns the command.
func Command() *app.Command {
	o := Options{Limits: DefaultLimits()}
	var runs, set app.List
	var ensemble, merge string
	var calibrated bool
	c := app.New("serve", "answers requests over HTTP with the predictions of runs (docs/serving.md)", func(ctx context.Context, c *app.Command) error {
		if len(runs) == 0 {
			return run.BadInput(fmt.Errorf("serve: --run is missing: give the directory of a run, such as --run runs/criteo_deepfm"))
		}
		if calibrated {
			if merge != "" || ensemble != "" {
				return run.BadInput(c.Prefixed(errors.New("--calibrated is of single runs, not of an ensemble or a merge")))
			}
			set = append(set, app.Calibrated)
		}
		var err error
		if o.Models, err = Models(runs, ensemble, merge, set...); err != nil {
			return run.BadInput(c.Prefixed(err))
		}
		o.Log = c.Log()
		s, err := New(ctx, o)
		if err != nil {
			return err
		}
		defer s.Close()
		reload := make(chan os.Signal, 1)
		signal.Notify(reload, syscall.SIGHUP)
		defer signal.Stop(reload)
		return s.Run(ctx, reload, nil)
	})
	f := c.Flags
	f.Var(&runs, "run", "`directory` of a run, or NAME=directory; may be given several times. Runs of one name are one model: their ensemble or merge")
	f.StringVar(&ensemble, "ensemble", "", "how runs of one name become one: mean of their `logits` (default) or probabilities")
	f.StringVar(&merge, "merge", "", "merge runs of one name in memory by this `method`, such as average or '{type: average, rows: counts}'")
	f.Var(&set, "set", "override a key of the runs' configs, `a.b=value`, such as serve.quantize=int8; may be given several times")
	f.BoolVar(&calibrated, "calibrated", false, "calibrate predictions as each run's calibration.json says, which evaluate --calibrate writes")
	f.StringVar(&o.Listen, "listen", "127.0.0.1:8080", "`address` to listen on; port 0 is a free one")
	f.DurationVar(&o.Poll, "poll", 2*time.Second, "how often to look for runs that have changed; 0: only when SIGHUP comes")
	f.StringVar(&o.TokenFile, "token-file", "", "`file` of tokens, one a line, of which requests must have one")
	f.StringVar(&o.Cert, "tls-cert", "", "`file` of a certificate and those that it is signed with, PEM")
	f.StringVar(&o.Key, "tls-key", "", "`file` of the certificate's key, PEM")
	f.BoolVar(&o.LogRequests, "log-requests", false, "log each request")
	f.Int64Var(&o.Body, "max-body", o.Body, "`bytes` of a request's body")
	f.Int64Var(&o.Bodies, "max-bodies", o.Bodies, "`bytes` of all bodies that are held at once")
	f.IntVar(&o.Rows, "max-rows", o.Rows, "`rows` of a request")
	f.IntVar(&o.Batch, "batch", o.Batch, "`rows` of waiting requests that are scored together")
	f.IntVar(&o.Queue, "queue", o.Queue, "`rows` that wait to be scored, for each model; requests beyond get status 429")
	f.IntVar(&o.Requests, "max-requests", o.Requests, "`number` of requests that are worked on at once; requests beyond get status 429")
	f.IntVar(&o.Connections, "max-connections", o.Connections, "`number` of connections at once; others wait")
	f.DurationVar(&o.Wait, "timeout", o.Wait, "from the end of a request's body to its answer")
	f.DurationVar(&o.Read, "read-timeout", o.Read, "from the beginning of a request to the end of its body")
	f.DurationVar(&o.Idle, "idle-timeout", o.Idle, "of a connection between requests")
	f.DurationVar(&o.Stop, "stop-timeout", o.Stop, "for the requests in flight when the server stops")
	c.Examples = []string{
		"--run runs/clicks",
		"--run a=runs/clicks --run b=runs/next --listen :8080",
	}
	return c
}
