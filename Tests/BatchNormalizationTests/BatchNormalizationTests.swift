// BatchNormalization
