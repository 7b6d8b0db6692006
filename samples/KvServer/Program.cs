var builder = WebApplication.CreateBuilder(args);
builder.Services.AddKvCatalog(Path.Combine(Directory.GetCurrentDirectory(), "data"));
var app = builder.Build();
app.Run();
