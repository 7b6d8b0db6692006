[assembly: TestFramework("KvStore.RealParts.RealPartTestFramework", "KvStore.RealParts")]
