package serve

import (
	"net/http"
	"strings"

	"github.com/splice-ml/splice"
)

// defaultItems is how many items are recommended if a request does not say.
const defaultItems = 10

// scoreReply is the answer to /v1/score. Scores are numbers, or names of classes, or of several tasks lists of numbers.
type scoreReply struct {
	Model         string    `json:"model"`
	Version       string    `json:"version"`
	Scores        any       `json:"scores"`
	Probabilities []float32 `json:"probabilities,omitempty"` // of the classes
	Tasks         []string  `json:"tasks,omitempty"`         // the labels, in the order of each row's scores
}

// recommendReply is the answer to /v1/recommend.
type recommendReply struct {
	Model   string      `json:"model"`
	Version string      `json:"version"`
	Items   [][]string  `json:"items"`
	Scores  [][]float32 `json:"scores"`
}

func (s *Server) score(c *call) error {
	r, m, v, err := s.request(c)
	if err != nil {
		return err
	}
	defer v.release()
	if r.req.K != nil {
		return refuse("k is for recommendations: POST /v1/recommend")
	}
	if v.output == splice.OutputItems {
		return refuse("model %s recommends items and gives a row no score: POST /v1/recommend", m.Name)
	}
	a, err := s.predict(c, v, r, 0)
	if err != nil {
		return err
	}
	out := scoreReply{Model: m.Name, Version: v.short(), Scores: float32s(a.scores)}
	if v.output == splice.OutputClass {
		names := make([]string, len(a.classes))
		out.Probabilities = make([]float32, len(a.classes))
		for i, c := range a.classes {
			names[i], out.Probabilities[i] = c.Name, float32(c.Probability)
		}
		out.Scores = names
	}
	if v.output == splice.OutputTasks {
		list := make([][]float32, len(a.tasks))
		for i, scores := range a.tasks {
			list[i] = float32s(scores)
		}
		out.Scores, out.Tasks = list, v.run.Tasks()
	}
	reply(c.w, http.StatusOK, out)
	return nil
}

func (s *Server) recommend(c *call) error {
	r, m, v, err := s.request(c)
	if err != nil {
		return err
	}
	defer v.release()
	if v.output != splice.OutputItems {
		return refuse("model %s scores rows and recommends no items: POST /v1/score", m.Name)
	}
	k := defaultItems
	if r.req.K != nil {
		k = *r.req.K
	}
	if err := s.checkItems(k); err != nil {
		return err
	}
	a, err := s.predict(c, v, r, k)
	if err != nil {
		return err
	}
	out := recommendReply{Model: m.Name, Version: v.short(), Items: make([][]string, len(a.items)), Scores: make([][]float32, len(a.items))}
	for i, list := range a.items {
		out.Items[i], out.Scores[i] = make([]string, len(list)), make([]float32, len(list))
		for j, item := range list {
			out.Items[i][j], out.Scores[i][j] = item.Name, float32(item.Score)
		}
	}
	reply(c.w, http.StatusOK, out)
	return nil
}

func (s *Server) checkItems(k int) error {
	if k < 1 || k > s.Items {
		return refuse("k is %d: want 1 to %d", k, s.Items)
	}
	return nil
}

// request reads a request for rows, and returns the version that answers it, to be released.
func (s *Server) request(c *call) (*reader, *served, *version, error) {
	body, err := s.body(c)
	if err != nil {
		return nil, nil, nil, err
	}
	r, err := s.read(body)
	if err != nil {
		return nil, nil, nil, err
	}
	if r.req.Rows == nil {
		return nil, nil, nil, refuse(`"rows" is missing; want a list of objects`)
	}
	m, v, err := s.find(r.req.Model)
	return r, m, v, err
}

// find returns a model by its name, and its version, to be released. Without a name, it is the only model.
func (s *Server) find(name string) (*served, *version, error) {
	var names []string
	for _, m := range s.models {
		if m.Name == name || name == "" && len(s.models) == 1 {
			if v := m.acquire(); v != nil {
				return m, v, nil
			}
			return nil, nil, errStopping
		}
		names = append(names, m.Name)
	}
	if name == "" {
		return nil, nil, refuse(`"model" is missing; there are %s`, strings.Join(names, ", "))
	}
	return nil, nil, &failure{code: http.StatusNotFound, msg: "there is no model " + quote(name) + "; there are " + strings.Join(names, ", ")}
}

// predict scores the rows of a request, whose reader must not be used any more.
func (s *Server) predict(c *call, v *version, r *reader, k int) (answer, error) {
	if err := s.count(r.req.Count); err != nil {
		return answer{}, err
	}
	if r.req.Fault != nil {
		return answer{}, r.req.Fault
	}
	a, err := s.ask(c, v, r.req.Rows, k)
	if err == nil { // else a batch may still have the rows
		r.put()
	}
	return a, err
}

func float32s(list []float64) []float32 {
	out := make([]float32, len(list))
	for i, v := range list {
		out[i] = float32(v)
	}
	return out
}
