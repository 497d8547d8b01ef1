package serve

import _ "embed"

//go:embed openapi.json
var openAPIDocument []byte

// openAPI sends the description of all routes.
func openAPI(c *call) error {
	c.w.Header().Set("Content-Type", "application/json")
	_, _ = c.w.Write(openAPIDocument)
	return nil
}
