using System.Text.Json;

namespace KvStore.Tests.Vectors;

/// <summary>Single operations of an otherwise expressible scenario that do not compile in C#.</summary>
internal static class InexpressibleOperation
{
    /// <summary>Why it cannot be expressed, or null when it can.</summary>
    public static string? WhyNot(JsonElement operation)
    {
        if (operation.TryGetProperty("type", out var type) && type.GetString() is not ("text" or "json" or "arrayBuffer" or "stream"))
        {
            return "an unknown type: in C# the type of a read is the method that is called";
        }

        if (operation.TryGetProperty("limit", out var limit) && !limit.TryGetInt32(out _))
        {
            return "a limit beyond 32 bits: in C# it is an int";
        }

        return null;
    }
}
