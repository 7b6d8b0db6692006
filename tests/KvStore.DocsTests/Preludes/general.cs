global using KvStore;
global using KvStore.DocsTests;
global using Microsoft.AspNetCore.Authentication.Cookies;

/// <summary>The names that every document may use: an application that is being made, and namespaces.</summary>
public abstract class GeneralPrelude : SnippetHost
{
    protected WebApplicationBuilder builder => Builder;

    protected IServiceCollection services => Builder.Services;

    protected IConfigurationManager configuration => Builder.Configuration;

    // Built when it is used first, which is after the services have been added.
    protected WebApplication app => Application;

    protected KvNamespace kv => Namespace("KV");

    protected CancellationToken cancellationToken => CancellationToken.None;
}
