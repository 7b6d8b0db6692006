using Microsoft.CodeAnalysis;

namespace KvStore.Generators;

/// <summary>The diagnostics. docs/bindings.md says of each what it means and how to mend it.</summary>
internal static class KvRules
{
    public static readonly DiagnosticDescriptor BrokenFile = Error("KV0001", "The Wrangler file cannot be read", "{0}");

    public static readonly DiagnosticDescriptor MissingBinding = Error("KV0002", "An entry of kv_namespaces has no usable binding", "{0}");

    public static readonly DiagnosticDescriptor DoubledBinding = Error("KV0003", "A name is bound twice", "{0}");

    public static readonly DiagnosticDescriptor EnvironmentsDiffer = Warning(
        "KV0004", "The environments bind different namespaces", "{0} does not bind {1}: environments do not inherit kv_namespaces, and what is not bound cannot be used there");

    public static readonly DiagnosticDescriptor SeveralFiles = Warning(
        "KV0005", "There are several Wrangler files", "{0} is read, as wrangler does; this file is not");

    public static readonly DiagnosticDescriptor UnknownNamespace = Error(
        "KV0006", "The namespace is not bound", "\"{0}\" is not bound in {1}; bound are: {2}");

    public static readonly DiagnosticDescriptor NotPartial = Error(
        "KV0007", "A typed namespace must be a partial interface", "{0} must be a partial interface without type parameters, and every type around it partial and without type parameters");

    public static readonly DiagnosticDescriptor BadTemplate = Error(
        "KV0008", "The key template cannot be read", "The template is wrong at character {0}: {1}");

    public static readonly DiagnosticDescriptor NoParameter = Error(
        "KV0009", "A placeholder has no parameter", "The placeholder {{{0}}} has no parameter of that name; the parameters are: {1}");

    public static readonly DiagnosticDescriptor NoPlaceholder = Error(
        "KV0010", "A parameter has no placeholder", "The parameter {0} has no placeholder, so that two different arguments would make the same key; add {{{0}}} to the template");

    public static readonly DiagnosticDescriptor NotDivided = Error(
        "KV0011", "Two placeholders are not divided", "The text behind {{{0}}} must begin with punctuation other than '%', for example ':', so that the key shows where the argument ends");

    public static readonly DiagnosticDescriptor TooLong = Error(
        "KV0012", "The key can be too long", "{0}; a key may have {1} bytes of UTF-8");

    public static readonly DiagnosticDescriptor TtlTooShort = Error(
        "KV0013", "The time to live is below the limit", "TtlSeconds is {0}; it must be at least {1}");

    public static readonly DiagnosticDescriptor ParameterType = Error(
        "KV0014", "The type of a parameter cannot stand in a key", "The parameter {0} is of type {1}; allowed are string, Guid, bool, DateOnly, enums and integers, without ref, params or a default");

    public static readonly DiagnosticDescriptor BadMember = Error(
        "KV0015", "A member of a typed namespace cannot be generated", "{0} must be a method with [KvKey] that returns KvTypedEntry<TValue, TMetadata>, or one that returns KvTypedEntries<TValue, TMetadata>; {1}");

    public static readonly DiagnosticDescriptor NoEntry = Error(
        "KV0016", "A listing does not belong to one key template", "{0} lists the keys of a method that returns {1} and whose first placeholders are its parameters: there are {2} such methods; give it the [KvKey] of the one that it lists");

    public static readonly DiagnosticDescriptor NoJson = Error(
        "KV0017", "A type cannot be stored", "{0} cannot be stored as {1}: {2}");

    public static readonly DiagnosticDescriptor NotInContext = Warning(
        "KV0018", "The JSON context does not list a type", "{0} does not list {1}; add [JsonSerializable(typeof({1}))] to it");

    public static readonly DiagnosticDescriptor KeysOverlap = Warning(
        "KV0019", "Two templates can make the same key", "\"{0}\" and \"{1}\" can make the same key; let them begin with different text");

    public static readonly DiagnosticDescriptor NotLiteral = Error(
        "KV0020", "The name of the namespace is not known", "Write the name of the namespace as a literal, for example [KvNamespace(\"CACHE_KV\")]: a generator does not see generated constants");

    public static readonly DiagnosticDescriptor NameTaken = Error(
        "KV0021", "The generated code uses a name", "The generated code of {0} uses the name {1}; choose another one");

    private static DiagnosticDescriptor Error(string id, string title, string message) => Make(id, title, message, DiagnosticSeverity.Error);

    private static DiagnosticDescriptor Warning(string id, string title, string message) => Make(id, title, message, DiagnosticSeverity.Warning);

    private static DiagnosticDescriptor Make(string id, string title, string message, DiagnosticSeverity severity) =>
        new(id, title, message, "KvStore", severity, isEnabledByDefault: true);
}
