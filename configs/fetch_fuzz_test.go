package configs

import (
	"net/url"
	"path/filepath"
	"strings"
	"testing"
)

// A source is refused, or what it names is on the host that it says: a file that is asked for by its own name, or an archive that is kept
// within the folder.
func FuzzOrigin(f *testing.F) {
	for _, u := range []string{
		"https://a.b/{file}", "http://a.b/x?f={file}&y", "http://a.b/c.zip", "http://a.b", "http://a.b/", "http://a.b/..", "http://a.b/x%2F..%2F..", "http://a.b/%00",
		`http://a.b/x\y`, "file:///etc/passwd?{file}", "x/{file}", "", "http://a\x1b/{file}", "ftp://127.0.0.1/{file}", "http:///{file}", "http://127.0.0.1:99999/{file}",
		"%zz{file}", "http://{file}/x", "http://u:{file}@a.b/", "http://a.b:{file}/", "HTTP://a.b/#{file}", "http://[::1]/{file}", "http://a.b/{file}#x", "http://a.b/%{file}",
	} {
		for _, name := range []string{"rows.tsv", "a/b c.tsv", "x#y?z%20&a=b+c", "\xff"} {
			f.Add(u, name)
		}
	}
	f.Fuzz(func(t *testing.T, text, name string) {
		o := Origin{URL: text}
		entry := Fetch{To: "got", Files: map[string]string{name: ""}, From: []Origin{o}}
		if o.Validate() != nil || entry.Validate() != nil {
			return
		}
		if !o.Single() {
			if a := "." + o.Archive(); !filepath.IsLocal(a) || strings.ContainsAny(a, `/\`) || filepath.Join("got", a) == "got" {
				t.Fatalf("%q: the archive is called %q", text, a)
			}
			return
		}
		u, err := url.Parse(o.Of(name))
		was, _ := url.Parse(text)
		if err != nil || u.Host != was.Host || u.Scheme != was.Scheme {
			t.Fatalf("%q of %q: %v, %v", text, name, u, err)
		}
		query, err := url.QueryUnescape(u.RawQuery)
		if !strings.Contains(u.Path, name) && !strings.Contains(u.Fragment, name) && (err == nil && !strings.Contains(query, name)) {
			t.Fatalf("%q of %q: %v does not ask for it", text, name, u)
		}
	})
}
