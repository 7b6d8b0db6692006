using System.Globalization;
using KvStore.Generators.Model;
using KvStore.Generators.Templates;

namespace KvStore.Generators.Sources;

/// <summary>The other part of an interface with <c>[KvNamespace]</c>: its keys, and a class that implements it.</summary>
internal static class TypedNamespaceSource
{
    private const string Template = "global::KvStore.KvKeyTemplate";

    public static string Write(TypedNamespaceModel model)
    {
        var code = new CodeWriter();
        if (model.Namespace.Length > 0)
        {
            code.Line($"namespace {model.Namespace};");
            code.Line();
        }

        foreach (var container in model.Containers)
        {
            code.Line(container);
            code.Open();
        }

        code.Line($"partial interface {model.Name}");
        code.Open();
        code.Line("/// <summary>The typed view of a namespace.</summary>");
        code.Line($"/// <param name=\"kv\">The namespace, for example the one that <c>{Literals.Xml(model.Binding)}</c> names, or the view of a region.</param>");
        code.Line("/// <returns>The view. Making it reads nothing.</returns>");
        code.Line($"static {model.Name} Create(global::KvStore.IKvNamespace kv) => new Implementation(kv);");
        foreach (var entry in model.Entries)
        {
            WriteFormat(code, model, entry);
            if (entry.Parameters.Count > 0)
            {
                WriteParse(code, model, entry);
            }
        }

        foreach (var parameter in model.Entries.SelectMany(static entry => entry.Parameters).Where(static p => p.Kind == KeyParameterKind.Enum)
            .GroupBy(static p => p.Type).Select(static group => group.First()))
        {
            WriteEnum(code, parameter);
        }

        WriteKeys(code, model);
        WriteImplementation(code, model);
        code.Close();
        foreach (var _ in model.Containers)
        {
            code.Close();
        }

        return code.ToString();
    }

    private static void WriteFormat(CodeWriter code, TypedNamespaceModel model, EntryModel entry)
    {
        code.Line();
        code.Line($"/// <summary>The key of <c>{Literals.Xml(entry.Template.Text)}</c>.</summary>");
        WriteParameterDocs(code, entry.Parameters);
        code.Line("/// <returns>The key. Different arguments make different keys.</returns>");
        code.Line($"/// <exception cref=\"global::System.ArgumentException\">The key is longer than {Number(model.KeyBytesMax)} bytes of UTF-8.</exception>");
        code.Line($"static string {entry.Name}Key({Declare(entry.Parameters)}) =>");
        code.Deeper($"Keys.{Identifiers.Escape(entry.Name)}.Format([{Texts(entry.InKeyOrder)}]);");
    }

    private static void WriteParse(CodeWriter code, TypedNamespaceModel model, EntryModel entry)
    {
        code.Line();
        code.Line($"/// <summary>Takes a key of <c>{Literals.Xml(entry.Template.Text)}</c> apart.</summary>");
        code.Line($"/// <param name=\"{Unused("key", entry)}\">The key.</param>");
        WriteParameterDocs(code, entry.Parameters);
        code.Line("/// <returns>False when no arguments make this key.</returns>");
        var outs = string.Join(", ", entry.Parameters.Select(static p => $"out {p.Type} {Identifiers.Escape(p.Name)}"));
        code.Line($"static bool TryParse{entry.Name}Key(string {Unused("key", entry)}, {outs})");
        code.Open();
        foreach (var parameter in entry.Parameters)
        {
            code.Line($"{Identifiers.Escape(parameter.Name)} = {(parameter.Kind == KeyParameterKind.Text ? "\"\"" : "default")};");
        }

        var parts = Unused("parts", entry);
        code.Line($"var {parts} = new string[{Number(entry.Parameters.Count)}];");
        code.Line($"if (!Keys.{Identifiers.Escape(entry.Name)}.TryParse({Unused("key", entry)}, {parts}))");
        code.Open();
        code.Line("return false;");
        code.Close();
        code.Line();
        var conditions = new List<string>();
        var i = 0;
        foreach (var parameter in entry.InKeyOrder)
        {
            var part = $"{parts}[{Number(i++)}]";
            var name = Identifiers.Escape(parameter.Name);
            if (parameter.Kind == KeyParameterKind.Text)
            {
                code.Line($"{name} = {part};");
            }
            else
            {
                conditions.Add(parameter.Kind == KeyParameterKind.Enum
                    ? $"{EnumMethod("TryRead", parameter)}({part}, out {name})"
                    : $"{Template}.TryRead({part}, out {name}{Format(parameter)})");
            }
        }

        if (conditions.Count <= 1)
        {
            code.Line($"return {(conditions.Count == 0 ? "true" : conditions[0])};");
        }
        else
        {
            code.Line($"return {conditions[0]}");
            for (var j = 1; j < conditions.Count; j++)
            {
                code.Deeper($"&& {conditions[j]}{(j == conditions.Count - 1 ? ";" : "")}");
            }
        }

        code.Close();
    }

    private static void WriteEnum(CodeWriter code, KeyParameter parameter)
    {
        code.Line();
        code.Line($"private static string {EnumMethod("Text", parameter)}({parameter.Type} value) => value switch");
        code.Open();
        foreach (var member in parameter.Members)
        {
            code.Line($"{parameter.Type}.{Identifiers.Escape(member)} => {Literals.CSharp(member)},");
        }

        code.Line($"_ => {Template}.Text(({parameter.Underlying})value),");
        code.Close("};");
        code.Line();
        code.Line($"private static bool {EnumMethod("TryRead", parameter)}(string text, out {parameter.Type} value)");
        code.Open();
        code.Line("switch (text)");
        code.Open();
        foreach (var member in parameter.Members)
        {
            code.Line($"case {Literals.CSharp(member)}:");
            code.Deeper($"value = {parameter.Type}.{Identifiers.Escape(member)};");
            code.Deeper("return true;");
        }

        code.Line("default:");
        code.Deeper($"var isNumber = {Template}.TryRead(text, out {parameter.Underlying} number);");
        code.Deeper($"value = ({parameter.Type})number;");
        code.Deeper($"return isNumber && {EnumMethod("Text", parameter)}(value) == text;");
        code.Close();
        code.Close();
    }

    private static void WriteKeys(CodeWriter code, TypedNamespaceModel model)
    {
        code.Line();
        code.Line("private static class Keys");
        code.Open();
        foreach (var entry in model.Entries)
        {
            var literals = string.Join(", ", entry.Template.Literals.Select(Literals.CSharp));
            code.Line($"public static readonly {Template} {Identifiers.Escape(entry.Name)} = new({Literals.CSharp($"{model.Name.TrimStart('@')}.{entry.Name}")}, {Number(model.KeyBytesMax)}, {literals});");
        }

        code.Close();
    }

    private static void WriteImplementation(CodeWriter code, TypedNamespaceModel model)
    {
        code.Line();
        code.Line($"private sealed class Implementation(global::KvStore.IKvNamespace kv) : {model.Name}");
        code.Open();
        code.Line("private readonly global::KvStore.IKvNamespace _kv = kv ?? throw new global::System.ArgumentNullException(nameof(kv));");
        foreach (var entry in model.Entries)
        {
            code.Line();
            code.Line($"private static readonly global::KvStore.KvTypedShape<{entry.Types}> s_{entry.Name} = new(");
            // What may be null is written and read by the same format as what may not.
            var bang = entry.Types == $"{entry.Value.Type}, {entry.Metadata.Type}" ? "" : "!";
            code.Deeper($"{entry.Value.Format}{bang},");
            code.Deeper($"{entry.Metadata.Format}{bang},");
            code.Deeper($"ttlSeconds: {Number(entry.TtlSeconds)});");
        }

        foreach (var entry in model.Entries)
        {
            var arguments = string.Join(", ", entry.Parameters.Select(static p => Identifiers.Escape(p.Name)));
            code.Line();
            code.Line($"public global::KvStore.KvTypedEntry<{entry.Types}> {Identifiers.Escape(entry.Name)}({Declare(entry.Parameters)}) =>");
            code.Deeper($"new(_kv, {entry.Name}Key({arguments}), s_{entry.Name});");
        }

        foreach (var listing in model.Listings)
        {
            var entry = model.Entries[listing.Entry];
            var discards = string.Concat(entry.Parameters.Select(static _ => ", out _"));
            // With all parameters there is one key, and a longer one may begin with it.
            var isKey = entry.Parameters.Count > 0 && listing.Parameters.Count == entry.Parameters.Count
                ? $"key => key == {entry.Name}Key({string.Join(", ", entry.Parameters.Select(p => $"{Identifiers.Escape(p.Name)}: {Identifiers.Escape(p.Name)}"))})"
                : entry.Parameters.Count > 0 ? $"static key => TryParse{entry.Name}Key(key{discards})" : $"static key => key == {entry.Name}Key()";
            code.Line();
            code.Line($"public global::KvStore.KvTypedEntries<{listing.Types}> {Identifiers.Escape(listing.Name)}({Declare(listing.Parameters)}) =>");
            code.Deeper($"new(_kv, Keys.{Identifiers.Escape(entry.Name)}.Prefix([{Texts(listing.Parameters)}]), {isKey}, s_{entry.Name}{(listing.Types == entry.Types ? "" : "!")});");
        }

        code.Close();
    }

    private static void WriteParameterDocs(CodeWriter code, IEnumerable<KeyParameter> parameters)
    {
        foreach (var parameter in parameters)
        {
            code.Line($"/// <param name=\"{parameter.Name}\">What stands for <c>{{{parameter.Name}}}</c>.</param>");
        }
    }

    private static string Declare(IEnumerable<KeyParameter> parameters) =>
        string.Join(", ", parameters.Select(static p => $"{p.Type} {Identifiers.Escape(p.Name)}"));

    private static string Texts(IEnumerable<KeyParameter> parameters) => string.Join(", ", parameters.Select(static p => p.Kind switch
    {
        KeyParameterKind.Text => Identifiers.Escape(p.Name),
        KeyParameterKind.Enum => $"{EnumMethod("Text", p)}({Identifiers.Escape(p.Name)})",
        _ => $"{Template}.Text({Identifiers.Escape(p.Name)}{Format(p)})",
    }));

    private static string Format(KeyParameter parameter) => parameter.Kind switch
    {
        KeyParameterKind.Guid => ", \"D\"",
        KeyParameterKind.Date => ", \"yyyy-MM-dd\"",
        _ => "",
    };

    // A name of this type's own: two enums may have the same short name.
    private static string EnumMethod(string verb, KeyParameter parameter) => verb + "_" + Identifiers.Of(parameter.Type.Replace("global::", ""));

    private static string Unused(string name, EntryModel entry)
    {
        while (entry.Parameters.Any(parameter => parameter.Name == name))
        {
            name = "the_" + name;
        }

        return name;
    }

    private static string Number(int number) => number.ToString(CultureInfo.InvariantCulture);
}
