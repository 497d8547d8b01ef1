package fetch

import (
	"archive/zip"
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/splice-ml/splice/configs"
)

// What is taken out of an archive lies in its folder.
func FuzzArchive(f *testing.F) {
	for _, name := range []string{"a/rows.tsv", "../rows.tsv", "/rows.tsv", `a\rows.tsv`, "a", ""} {
		var b bytes.Buffer
		z := zip.NewWriter(&b)
		w, err := z.Create(name)
		if err == nil {
			_, err = w.Write([]byte("1\t2\n"))
		}
		if err == nil {
			err = z.Close()
		}
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes())
		f.Add(b.Bytes()[:b.Len()/2])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		dir := t.TempDir()
		archive, to := filepath.Join(dir, "x.zip"), filepath.Join(dir, "in", "to")
		if err := os.WriteFile(archive, b, 0o666); err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(to, 0o777); err != nil {
			t.Fatal(err)
		}
		left := int64(1 << 20)
		_ = extract(archive, configs.Origin{Folder: "a"}, configs.Fetch{To: to, Files: map[string]string{"rows.tsv": ""}}, []string{"rows.tsv"}, &left)
		err := fs.WalkDir(os.DirFS(dir), ".", func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() && path != "x.zip" && path != "in/to/rows.tsv" {
				t.Errorf("%q: %s was made", b, path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}
