namespace KvStore.Comparisons.Compare;

/// <summary>Parts of arrays, which loops that await can run over and spans cannot be.</summary>
internal static class ArrayParts
{
    public static ArraySegment<T> Part<T>(this T[] array, Range range) => new ArraySegment<T>(array)[range];
}
