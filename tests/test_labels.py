import numpy as np
import pytest
import tensorflow as tf

from tf_diffaug.labels import check_whole, class_weights
from tf_diffaug.training.calls import call_generator


def test_labels_become_weights_and_weights_stay():
    expected = np.eye(4, dtype=np.float32)[[2, 0]]
    np.testing.assert_array_equal(class_weights(tf.constant([2, 0]), 4), expected)
    np.testing.assert_array_equal(class_weights(tf.constant([2.0, 0.0]), 4), expected)
    mixed = tf.constant([[0.5, 0, 0.5, 0]])
    np.testing.assert_array_equal(class_weights(mixed, 4), mixed)
    assert class_weights(mixed, 4, dtype=tf.float16).dtype == tf.float16


def test_a_generator_gets_weights_as_they_are_and_labels_as_whole_numbers():
    seen = []

    class Recorder:
        @staticmethod
        def call(inputs, training):
            seen.append(inputs[1])
            return inputs[0]

        def __call__(self, inputs, training):
            return self.call(inputs, training)

    weights = tf.constant([[0.5, 0.5]])
    for labels in (weights, tf.constant([1.0]), np.array([[1.0]]), [1]):
        call_generator(Recorder(), tf.zeros([1, 3]), labels, training=False)
    assert [labels.dtype for labels in seen] == [tf.float32, *[tf.int32] * 3]
    np.testing.assert_array_equal(seen[0], weights)


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (np.array(["cat", "dog"]), r"shape \(2,\), text\."),
        (np.array([b"cat"]), r"shape \(1,\), text\."),
        (np.array(["cat", 1], dtype=object), r"shape \(2,\), text\."),
        (np.array([True]), r"shape \(1,\), dtype=bool\."),
        (np.array(["2020"], dtype="datetime64[Y]"), r"dtype=datetime64\[Y\]\."),
        (np.eye(3), "argmax"),
        (np.array([0.5]), "a label of 0.5"),
    ],
)
def test_what_is_no_whole_number_is_refused_as_it_was_given(labels, said):
    with pytest.raises(ValueError, match=f"Labels are whole numbers .*{said}"):
        check_whole(labels)
