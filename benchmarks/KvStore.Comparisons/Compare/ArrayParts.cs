namespace KvStore.Comparisons.Compare;

/// <summary>Parts of arrays, for loops that await, in which spans are not allowed.</summary>
internal static class ArrayParts
{
    public static ArraySegment<T> Part<T>(this T[] array, Range range) => new ArraySegment<T>(array)[range];
}
