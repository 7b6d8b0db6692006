using KvStore.Generators.Model;

namespace KvStore.Generators.Sources;

/// <summary>The extension method that registers the bindings and the typed namespaces.</summary>
internal static class RegistrationSource
{
    public static string Write(WranglerModel model, BindingsOptions options, IEnumerable<TypedRegistration> typed)
    {
        const string Services = "global::Microsoft.Extensions.DependencyInjection.IServiceCollection";
        var code = new CodeWriter();
        var file = Literals.Xml(model.FileName);
        code.Line("namespace Microsoft.Extensions.DependencyInjection;");
        code.Line();
        code.Line($"/// <summary>Registers what <c>{file}</c> binds.</summary>");
        code.Line($"internal static class {options.Name}ServiceCollectionExtensions");
        code.Open();
        code.Line("// The bindings when this was compiled, in the form of the file itself.");
        code.Line("private const string Compiled = \"\"\"");
        code.Open();
        WriteJson(code, model);
        code.Close();
        code.Line("\"\"\";");
        code.Line();
        code.Line($"/// <summary>Registers each namespace that <c>{file}</c> binds, <see cref=\"{options.FullName}\"/>, and each typed namespace.</summary>");
        code.Line("/// <param name=\"services\">Where to register them.</param>");
        code.Line("/// <param name=\"environment\">The environment; null takes the one of <c>CLOUDFLARE_ENV</c>, empty the top level.</param>");
        code.Line("/// <param name=\"configure\">How each namespace shall behave; called once for each, with its name in the builder.</param>");
        code.Line("/// <param name=\"path\">");
        code.Line($"/// The file at run time, which must bind what it bound when this was compiled. Null looks for <c>{file}</c> in the content root of the");
        code.Line("/// host and beside the application; where there is none, what was compiled holds.");
        code.Line("/// </param>");
        code.Line("/// <returns>The same services.</returns>");
        code.Line("/// <exception cref=\"global::System.IO.InvalidDataException\">The file at run time is wrong, or binds something else; the message says what.</exception>");
        code.Line($"public static {Services} AddKvBindings(");
        code.Deeper($"this {Services} services,");
        code.Deeper("string? environment = null,");
        code.Deeper("global::System.Action<global::KvStore.KvNamespaceBuilder>? configure = null,");
        code.Deeper("string? path = null)");
        code.Open();
        code.Line($"global::KvStore.KvCompiledBindings.Register(services, {Literals.CSharp(model.FileName)}, Compiled, environment, configure, path);");
        code.Line("services.AddSingleton(static provider =>");
        code.Deeper($"new {options.FullName}(provider.GetRequiredService<global::KvStore.IKvNamespaceFactory>()));");
        foreach (var registration in typed)
        {
            code.Line("services.AddSingleton(static provider =>");
            code.Deeper($"{registration.FullName}.Create(provider.GetRequiredService<global::KvStore.IKvNamespaceFactory>().Get({Literals.CSharp(registration.Binding)})));");
        }

        code.Line("return services;");
        code.Close();
        code.Close();
        return code.ToString();
    }

    private static void WriteJson(CodeWriter code, WranglerModel model)
    {
        if (model.IsPages)
        {
            code.Line("\"pages_build_output_dir\": \"\",");
        }

        WriteSection(code, model.Sections[0]);
        if (model.HasEnvironments)
        {
            code.Line("\"env\": {");
            foreach (var section in model.Sections.Skip(1))
            {
                code.Line($"  {Literals.Json(section.Environment!)}: {{");
                WriteSection(code, section);
                code.Line("  },");
            }

            code.Line("},");
        }
    }

    private static void WriteSection(CodeWriter code, SectionModel section)
    {
        if (!section.DeclaresNamespaces)
        {
            return;
        }

        var indent = section.Environment is null ? "" : "    ";
        code.Line(indent + "\"kv_namespaces\": [");
        foreach (var binding in section.Bindings)
        {
            var id = binding.Id is null ? "" : $", \"id\": {Literals.Json(binding.Id)}";
            code.Line($"{indent}  {{ \"binding\": {Literals.Json(binding.Name)}{id} }},");
        }

        code.Line(indent + "],");
    }
}
