import resspec

resspec.source("resnet18", backend="toch")
