global using Microsoft.AspNetCore.Mvc.Testing;
global using Microsoft.AspNetCore.TestHost;

/// <summary>The program that the reader tests.</summary>
public sealed class Program;
