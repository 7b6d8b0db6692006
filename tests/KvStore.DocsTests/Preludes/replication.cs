public abstract class DocumentPrelude : GeneralPrelude
{
    // The namespace that the snippet registers.
    protected IKvNamespace flags => Application.Services.GetRequiredKeyedService<IKvNamespace>("FLAGS");
}
