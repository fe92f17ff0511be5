/// A task that every agent has, whatever program it is: it tells what its machine and process are. The answer shows that
/// typed calls work there.
package struct ReadFacts: RemoteTask {
    package init() {}
    package func run(in context: RemoteContext) async throws -> Facts { .current() }
}
