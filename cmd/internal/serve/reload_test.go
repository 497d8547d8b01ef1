package serve_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/splice-ml/splice/data/atomicfile"
	"github.com/splice-ml/splice/train/run"
)

// put writes a file as commands do: it appears whole.
func put(t testing.TB, path string, text []byte) {
	t.Helper()
	if err := atomicfile.WriteBytes(path, text); err != nil {
		t.Fatal(err)
	}
}

// version returns the version of a model that is served.
func version(t testing.TB, h http.Handler, name string) string {
	t.Helper()
	var m struct{ Versions []string }
	want(t, ask(h, "GET", "/v2/models/"+name, ""), 200, &m)
	return m.Versions[0]
}

// TestReload checks what is taken over when.
func TestReload(t *testing.T) {
	one, two := trained(t, clicksConfig, 1), trained(t, clicksConfig, 2)
	dir := copied(t, one)
	model := filepath.Join(dir, run.ModelFile)
	s := start(t, options(t, "m="+dir))
	ctx := t.Context()
	was := version(t, s, "m")
	expect := func(when string, changed bool) {
		t.Helper()
		now := version(t, s, "m")
		if changed != (now != was) {
			t.Errorf("%s: version %s, before %s", when, now, was)
		}
		was = now
	}
	s.Reload(ctx, false)
	expect("nothing has changed", false)

	put(t, model, []byte(read(t, filepath.Join(two, run.ModelFile))))
	s.Reload(ctx, false)
	expect("the first look at new files", false)
	s.Reload(ctx, false)
	expect("the second look", true)

	put(t, model, []byte(read(t, filepath.Join(one, run.ModelFile))))
	lock, err := run.Acquire(dir, "train")
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		s.Reload(ctx, true)
	}
	expect("a command writes", false)
	if err := lock.Release(); err != nil {
		t.Fatal(err)
	}
	s.Reload(ctx, true)
	expect("the command is done", true)

	text := read(t, model)
	put(t, model, []byte(text)) // the same again
	s.Reload(ctx, true)
	expect("a file of the same content", false)

	put(t, model, []byte(text[:len(text)/2]))
	for range 3 {
		s.Reload(ctx, false)
	}
	expect("half a file", false)
	if err := os.Remove(model); err != nil {
		t.Fatal(err)
	}
	s.Reload(ctx, true)
	expect("no file", false)
	w := ask(s, "GET", "/metrics", "")
	for _, line := range []string{
		`splice_reloads_total{model="m",result="done"} 2`, `splice_reloads_total{model="m",result="refused"} 2`,
		`splice_model_info{digest="`, `splice_model_loaded_timestamp_seconds{model="m"} `, `splice_queue_rows{model="m"} 0`,
	} {
		if !strings.Contains(w.Body.String(), line) {
			t.Errorf("metrics lack %s:\n%s", line, w.Body)
		}
	}
	want(t, ask(s, "POST", "/v1/score", marshal(map[string]any{"rows": rowsOf(clicks()[:3])})), 200, nil)

	put(t, model, []byte(read(t, filepath.Join(two, run.ModelFile))))
	s.Reload(ctx, true)
	expect("a good file again", true)
}

// TestReloadOfLink checks that a link that is turned to another run is noticed.
func TestReloadOfLink(t *testing.T) {
	link := filepath.Join(t.TempDir(), "current")
	if err := os.Symlink(trained(t, clicksConfig, 1), link); err != nil {
		t.Skip(err)
	}
	s := start(t, options(t, "m="+link))
	was := version(t, s, "m")
	if err := os.Remove(link); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(trained(t, clicksConfig, 2), link); err != nil {
		t.Fatal(err)
	}
	s.Reload(t.Context(), false)
	s.Reload(t.Context(), false)
	if version(t, s, "m") == was {
		t.Error("the run behind the link is not served")
	}
}

// TestReloadUnderFire swaps two runs, with broken ones among them, while clients score. Each answer must be all of one run, and none may fail.
func TestReloadUnderFire(t *testing.T) {
	one, two := trained(t, clicksConfig, 1), trained(t, clicksConfig, 2)
	dir := copied(t, one)
	o := options(t, "m="+dir)
	o.Poll = 5 * time.Millisecond
	s := listen(t, o, nil)
	rows := rowsOf(clicks()[:40])
	answers := map[string]string{} // by version
	for _, d := range []string{one, two} {
		x := start(t, options(t, "m="+d))
		var got scores
		want(t, ask(x, "POST", "/v1/score", marshal(map[string]any{"rows": rows})), 200, &got)
		answers[got.Version] = fmt.Sprint(got.text())
	}
	var stop atomic.Bool
	var requests, failures atomic.Int64
	var wg sync.WaitGroup
	seen := sync.Map{}
	for g := range 8 {
		wg.Go(func() {
			client := &http.Client{Transport: &http.Transport{}}
			defer client.CloseIdleConnections()
			for n := g; !stop.Load(); n++ {
				lo, hi := n%7, 10+n%31
				code, text, err := post(client, s.url+"/v1/score", marshal(map[string]any{"rows": rows[lo:hi]}))
				requests.Add(1)
				var got scores
				if err == nil && code == 200 {
					err = json.Unmarshal([]byte(text), &got)
				}
				all := strings.Fields(strings.Trim(answers[got.Version], "[]"))
				if err != nil || code != 200 || !slices.Equal(got.text(), all[lo:min(hi, len(all))]) {
					if failures.Add(1) < 5 {
						t.Errorf("status %d, %v: %.300s, not the scores of version %s", code, err, text, got.Version)
					}
					return
				}
				seen.Store(got.Version, true)
			}
		})
	}
	models := []string{read(t, filepath.Join(two, run.ModelFile)), read(t, filepath.Join(one, run.ModelFile))}
	last := version(t, s, "m")
	for i := range 20 {
		text := models[i%2]
		if i%5 == 3 {
			put(t, filepath.Join(dir, run.ModelFile), []byte(text[:len(text)-7]))
			time.Sleep(30 * time.Millisecond)
		}
		put(t, filepath.Join(dir, run.ModelFile), []byte(text))
		for end := time.Now().Add(20 * time.Second); version(t, s, "m") == last; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("the new run is not served")
			}
		}
		last = version(t, s, "m")
	}
	stop.Store(true)
	wg.Wait()
	if n := requests.Load(); n < 50 || failures.Load() > 0 {
		t.Errorf("%d of %d requests failed", failures.Load(), n)
	}
	versions := 0
	seen.Range(func(any, any) bool { versions++; return true })
	if versions != 2 {
		t.Errorf("answers of %d versions, want 2", versions)
	}
	if err := s.stop(); err != nil {
		t.Error(err)
	}
}

// TestSignal checks that a signal has the files looked at.
func TestSignal(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no signals")
	}
	dir := copied(t, trained(t, clicksConfig, 1))
	now := make(chan os.Signal, 1)
	s := listen(t, options(t, "m="+dir), now)
	was := version(t, s, "m")
	put(t, filepath.Join(dir, run.ModelFile), []byte(read(t, filepath.Join(trained(t, clicksConfig, 2), run.ModelFile))))
	time.Sleep(20 * time.Millisecond)
	if version(t, s, "m") != was {
		t.Error("without a signal, and without polls, the run is loaded again")
	}
	now <- os.Interrupt
	for end := time.Now().Add(20 * time.Second); version(t, s, "m") == was; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the new run is not served")
		}
	}
}
