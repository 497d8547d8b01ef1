package configs

import (
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/splice-ml/splice/configs/registry"
)

// The values of `fallback`: what an experiment does if files of `fetch` can be had nowhere.
const (
	FallbackNone      = "none"      // it stops with an error
	FallbackSynthetic = "synthetic" // it lays the section `synthetic` over the config
	FallbackAlways    = "always"    // it does so whether the files are there or not
)

// Fetch is an entry of the `fetch:` section, under the name of a folder: public files that the experiment reads there, and where they
// are published. What is there is used as it is. An entry counts only if another key of the config names its folder or a path in it.
type Fetch struct {
	To string `yaml:"-"` // the folder
	// names of the files, with the SHA-256 of each; "" if that is not known: then what is received is printed
	Files map[string]string `yaml:"files,required"`
	Or    []string          `yaml:"or"`            // other files: if all of them are there, nothing is fetched
	From  []Origin          `yaml:"from,required"` // sources, tried in turn
	// bytes of a file that is fetched, and of all that is taken out of an archive, at most; 0 for 4294967296 (4 GiB)
	MaxBytes int64 `yaml:"max_bytes"`
}

// DefaultMaxBytes bounds what is fetched where max_bytes does not say.
const DefaultMaxBytes = 4 << 30

// Limit returns how many bytes a file may have.
func (f Fetch) Limit() int64 {
	if f.MaxBytes == 0 {
		return DefaultMaxBytes
	}
	return f.MaxBytes
}

// Origin is a place where files are published: a zip archive that holds them, or a folder of a web site.
type Origin struct {
	URL    string   `yaml:"url,required"` // http or https; {file} stands for each file's name, without it the URL is an archive's
	SHA256 string   `yaml:"sha256"`       // of the archive; empty: unknown
	Open   []string `yaml:"open"`         // of an archive: path in it of an archive that holds the files, path in that one ...
	Folder string   `yaml:"folder"`       // of an archive: folder of the files in the last archive
}

// FilePlace is the text that stands for the name of a file in the URL of an Origin.
const FilePlace = "{file}"

// Single reports whether the files are published one by one.
func (o Origin) Single() bool { return strings.Contains(o.URL, FilePlace) }

// Of returns the URL of a file, where each file has one.
func (o Origin) Of(name string) string {
	var parts []string
	for part := range strings.SplitSeq(name, "/") {
		parts = append(parts, inQuery.Replace(url.PathEscape(part)))
	}
	return strings.ReplaceAll(o.URL, FilePlace, strings.Join(parts, "/"))
}

// inQuery escapes what means something in the query of a URL, and nothing in its path.
var inQuery = strings.NewReplacer("&", "%26", "=", "%3D", "+", "%2B")

// Archive returns the name of the archive at the URL, "" if the URL names none.
func (o Origin) Archive() string {
	u, err := url.Parse(o.URL)
	if err != nil {
		return ""
	}
	name := path.Base(u.Path)
	if name == "." || name == ".." || strings.ContainsAny(name, "/\\\x00") {
		return ""
	}
	return name
}

// Validate reports every option out of range.
func (f Fetch) Validate() error {
	var errs []error
	if len(f.Files) == 0 {
		errs = append(errs, registry.Field("files", "names no file"))
	}
	inside := func(key, name string) {
		if !filepath.IsLocal(name) || strings.Contains(name, `\`) {
			errs = append(errs, registry.Field(key, "%q is not a path within the folder", name))
		}
	}
	for _, name := range f.Or {
		inside("or", name)
	}
	for name, sum := range f.Files {
		inside("files", name)
		if !isSHA256(sum) {
			errs = append(errs, registry.Field("files", "%s: %q is not a SHA-256: want 64 hexadecimal digits, or \"\"", name, sum))
		}
	}
	if f.MaxBytes < 0 {
		errs = append(errs, registry.Field("max_bytes", "must not be negative"))
	}
	if len(f.From) == 0 {
		errs = append(errs, registry.Field("from", "names no source"))
	}
	return errors.Join(errs...)
}

// Validate reports every option out of range.
func (o Origin) Validate() error {
	var errs []error
	if u, err := url.Parse(o.URL); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		errs = append(errs, registry.Field("url", "%q is not a http or https URL", o.URL))
	} else if !o.Single() && o.Archive() == "" {
		errs = append(errs, registry.Field("url", "%q names no archive: want a URL that ends in its name, or one with {file}", o.URL))
	}
	if !isSHA256(o.SHA256) {
		errs = append(errs, registry.Field("sha256", "%q is not a SHA-256: want 64 hexadecimal digits", o.SHA256))
	}
	if o.Single() && (o.SHA256 != "" || o.Folder != "" || len(o.Open) > 0) {
		errs = append(errs, registry.Field("url", "has {file}, so that sha256, open and folder, which are an archive's, have no meaning"))
	}
	return errors.Join(errs...)
}

func isSHA256(s string) bool {
	b, err := hex.DecodeString(s)
	return err == nil && (len(b) == 32 || s == "") && s == strings.ToLower(s)
}

// Wanted returns the entries of `fetch` whose folder, or a path in it, is the value of another key of the experiment.
func (e *Experiment) Wanted() ([]Fetch, error) {
	if len(e.Fetch) == 0 {
		return nil, nil
	}
	rest := *e
	rest.Fetch = nil
	n, err := registry.Encode(&rest, nil)
	if err != nil {
		return nil, fmt.Errorf("configs: %w", err)
	}
	return slices.DeleteFunc(e.Fetches(), func(f Fetch) bool { return !names(n, filepath.Clean(f.To)) }), nil
}

// Fetches returns the entries of `fetch`, in the order of their folders.
func (e *Experiment) Fetches() []Fetch {
	var out []Fetch
	for _, to := range slices.Sorted(maps.Keys(e.Fetch)) {
		f := e.Fetch[to]
		f.To = to
		out = append(out, f)
	}
	return out
}

// names reports whether a text of the tree is a folder or a path in it.
func names(n *yaml.Node, dir string) bool {
	if isText(n) && n.Value != "" {
		if rel, err := filepath.Rel(dir, filepath.Clean(n.Value)); err == nil && filepath.IsLocal(rel) {
			return true
		}
	}
	for _, c := range n.Content {
		if names(c, dir) {
			return true
		}
	}
	return false
}

// syntheticKey is the section of a config that `fallback` speaks of.
const syntheticKey = "synthetic"

// withFallback takes the section `synthetic` off the tree. It is laid over the rest if `fallback` says so, and overrides
// are applied once more, but for those of a section that has another type then: they were meant for what is not there.
// found reports whether there was one.
func withFallback(root *yaml.Node, overrides []string, p *registry.Problems) (_ *yaml.Node, found bool) {
	key, section := takeKey(root, syntheticKey)
	always := false
	if v := value(root, "fallback"); v != nil {
		always = v.Value == FallbackAlways
	}
	switch {
	case key == nil && always:
		p.Add(root, syntheticKey, "is missing: fallback lays this section over the config")
	case key == nil:
	case section.Kind != yaml.MappingNode:
		p.Add(key, syntheticKey, "want a section of keys that are laid over those of the config, have %s", section.Value)
	case always && p.Len() == 0:
		gone := append(otherTypes(root, section, ""), syntheticKey)
		root = merge(root, section, "", p)
		rest := slices.DeleteFunc(slices.Clone(overrides), func(s string) bool {
			return slices.ContainsFunc(gone, func(path string) bool {
				return strings.HasPrefix(s, path+".") || strings.HasPrefix(s, path+"=")
			})
		})
		root = override(root, rest, p)
	}
	return root, key != nil
}

// otherTypes returns the paths of the sections that over, laid over root, gives another type.
func otherTypes(root, over *yaml.Node, path string) []string {
	if t := value(over, "type"); t != nil && path != "" {
		if r := value(root, "type"); r == nil || r.Value != t.Value {
			return []string{path}
		}
	}
	if root != nil && root.Kind == yaml.MappingNode && isText(over) { // a type alone, for short
		return []string{path}
	}
	var out []string
	for i := 0; over.Kind == yaml.MappingNode && i+1 < len(over.Content); i += 2 {
		key := over.Content[i].Value
		below := key
		if path != "" {
			below = path + "." + key
		}
		out = append(out, otherTypes(value(root, key), over.Content[i+1], below)...)
	}
	return out
}
