package models

// Layered is a model whose parameters lie one above the other, for learning rates that fall towards the inputs.
type Layered interface {
	// Layer returns where a parameter lies: 0 for embeddings, 1 for the first layer, and so on up to layers, where the head is.
	Layer(name string) (layer, layers int)
}
