global using KvStore.RealParts;
global using Xunit;
