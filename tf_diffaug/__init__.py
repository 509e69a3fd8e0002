"""Train GANs with little data, in TensorFlow and Keras."""
