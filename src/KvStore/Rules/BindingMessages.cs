namespace KvStore.Rules;

/// <summary>Messages of the binding that the library and its HTTP endpoints both give. <c>KvStore.AspNetCore</c> compiles this file too.</summary>
internal static class BindingMessages
{
    /// <summary>A key with an unpaired surrogate, or one that cannot be percent-decoded to UTF-8.</summary>
    public const string KeyIsNotDecodable = "Could not URL-decode key name";

    /// <summary>A get of many keys as JSON, of which one has a value that is not JSON.</summary>
    public const string ValueIsNotJson = "At least one of the requested keys corresponds to a non-json value";
}
