package data_test

import (
	"strings"
	"testing"

	"github.com/splice-ml/splice/data"
)

func TestOriginChanges(t *testing.T) {
	file := func(key, path string, size int64, hash string) data.SourceFile {
		return data.SourceFile{Key: key, Path: path, Size: size, Hash: hash}
	}
	a, b, v := file("path", "/d/a", 10, "aa"), file("path", "/d/b", 20, "bb"), file("valid_path", "/d/v", 5, "cc")
	origin := func(fmap string, rows int64, files ...data.SourceFile) data.Origin {
		return data.Origin{Map: fmap, Rows: [3]int64{rows, 5}, Sources: files}
	}
	was := origin("m", 30, a, b, v)
	grown, edited, moved, added := b, b, b, file("path", "/d/c", 7, "dd")
	grown.Size, grown.Hash = 25, "b2"
	edited.Hash = "b3"
	moved.Path = "/copy/b"
	alsoValid := b
	alsoValid.Key = "valid_path"
	for _, tc := range []struct {
		name string
		now  data.Origin
		want []string // of the lines, one a line; none if nothing changed
	}{
		{"the same", origin("m", 30, a, b, v), nil},
		{"copied elsewhere", origin("m", 30, a, moved, v), nil},
		{"grown", origin("m2", 31, a, grown, v), []string{"/d/b has 25 bytes (hash b2), had 20 (hash bb)", "feature map"}},
		{"grown, with the map given", origin("m", 31, a, grown, v), []string{"/d/b has 25 bytes"}},
		{"edited", origin("m", 30, a, edited, v), []string{"/d/b has other content of the same size, 20 bytes (hash b3, was bb)"}},
		{"another day", origin("m2", 40, a, b, added, v), []string{"/d/c of path (7 bytes) was not there", "feature map"}},
		{"a day less", origin("m2", 10, a, v), []string{"/d/b of path (20 bytes) is not there any more", "feature map"}},
		{"another file", origin("m2", 40, a, added, v), []string{"/d/b of path", "/d/c of path", "feature map"}},
		{"another part", origin("m2", 10, a, alsoValid, v), []string{"/d/b of path", "/d/b of valid_path", "feature map"}},
		{"another order", origin("m", 30, b, a, v), []string{"another order"}},
		{"another map", origin("m2", 30, a, b, v), []string{"the feature map is another one (digest m2, was m), though the files are the same"}},
		{"other rows", origin("m", 29, a, b, v), []string{"there are 29 train rows, there were 30"}},
		{"generated rows now", origin("m2", 30), []string{"/d/a of path", "/d/b of path", "/d/v of valid_path", "feature map"}},
	} {
		got := was.Changes(tc.now)
		if len(got) != len(tc.want) {
			t.Errorf("%s: %q, want %d lines", tc.name, got, len(tc.want))
			continue
		}
		for i, w := range tc.want {
			if !strings.Contains(got[i], w) {
				t.Errorf("%s: line %q, want one with %q", tc.name, got[i], w)
			}
		}
		if same := was.Digest() == tc.now.Digest(); same != (len(tc.want) == 0) {
			t.Errorf("%s: the digests are the same: %v", tc.name, same)
		}
	}
}
