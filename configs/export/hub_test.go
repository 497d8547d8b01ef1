package export_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/splice-ml/splice/configs"
	"github.com/splice-ml/splice/configs/export"
	"github.com/splice-ml/splice/configs/fetch"
	"github.com/splice-ml/splice/configs/job"
	"github.com/splice-ml/splice/train/run"
)

// TestPush: what is pushed is fetched by the section that is returned, and is the run.
func TestPush(t *testing.T) {
	r, m := trained(t), newMirror(t, "secret")
	if err := export.Card(t.Context(), r, false); err != nil {
		t.Fatal(err)
	}
	section, err := export.Push(t.Context(), r, &export.Target{URL: m.URL + "/team/clicks/", Token: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	if last := m.order[len(m.order)-1]; last != "/team/clicks/resolve/main/config.yaml" {
		t.Errorf("the last file is %s, want the config", last)
	}
	for _, name := range []string{"README.md", "model.safetensors", "features.json.zst", "result.json"} {
		if m.files["/team/clicks/resolve/main/"+name] == nil {
			t.Errorf("%s was not pushed", name)
		}
	}
	if m.files["/team/clicks/resolve/main/metrics.jsonl"] != nil {
		t.Error("the log was pushed")
	}
	t.Chdir(t.TempDir())
	text := "data: {type: criteo, path: rows.tsv, split: {by: order, ratio: [0.8, 0.1, 0.1]}}\nmodel: {type: deepfm}\ninit: {from: runs/clicks}\n" + string(section)
	if err := os.WriteFile("next.yaml", []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	e, err := configs.Load("next.yaml", nil)
	if err != nil {
		t.Fatalf("%v\n%s", err, section)
	}
	entry := e.Fetch["runs/clicks"]
	entry.To = "runs/clicks"
	if err := (&fetch.Fetcher{}).Get(t.Context(), entry); err != nil {
		t.Fatal(err)
	}
	if _, err := job.Open("runs/clicks", nil, nil); err != nil {
		t.Error(err)
	}
	for name, b := range m.files {
		if got, err := os.ReadFile(filepath.Join("runs/clicks", filepath.Base(name))); err != nil || string(got) != string(b) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What a server refuses, and what is not sent.
func TestPushRefused(t *testing.T) {
	r := trained(t)
	m := newMirror(t, "secret")
	elsewhere := newMirror(t, "")
	moved := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusFound))
	defer moved.Close()
	for _, tc := range []struct {
		url, token, want string
	}{
		{m.URL + "/a", "", "answers 401 Unauthorized: set HF_TOKEN to a token"},
		{m.URL + "/a", "wrong", "answers 401 Unauthorized: the token of HF_TOKEN may not write there"},
		{moved.URL + "/a", "secret", "answers 302 Found"},
		{m.URL, "", "want the address of a server and a name"},
		{"ftp://h/a", "", "want the address of a server and a name"},
		{"https://user@h/a", "", "want the address of a server and a name"},
		{"http://models.example.org/a", "secret", "HF_TOKEN would go over a connection that is not encrypted: use https, or unset it"},
	} {
		_, err := export.Push(t.Context(), r, &export.Target{URL: tc.url, Token: tc.token})
		if in := new(run.InputError); err == nil || !errors.As(err, &in) || !strings.Contains(err.Error(), tc.want) || tc.token != "" && strings.Contains(err.Error(), tc.token+" ") {
			t.Errorf("%s with %q: error %v, want %q", tc.url, tc.token, err, tc.want)
		}
	}
	if len(m.files)+len(elsewhere.files) > 0 {
		t.Errorf("files were kept: %v, %v", m.order, elsewhere.order)
	}
}
