/// What a context's own streams need to know about the process they run in.
protocol ContextScope: AnyObject, Sendable {
    var runtime: ContextRuntime { get }
    var node: ContextNode! { get }
    /// From the controller to here.
    var route: Route { get }
    /// Tasks and programs are counted, so that a shutdown knows when all have ended.
    func taskStarted()
    func taskEnded()
}
