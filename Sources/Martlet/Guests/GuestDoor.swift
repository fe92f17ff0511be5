import CMartlet
import MartletReactor
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Where this user's hub is found: a socket in a directory that nobody else may look into.
package struct HubPlace: Sendable {
    package var directory: String

    package init(directory: String) { self.directory = directory }

    /// Where to look, and in this order to make one.
    package static var usual: [HubPlace] { Detachment.directories.map { HubPlace(directory: $0) } }

    package var socket: String { "\(directory)/hub" }
    /// Whoever holds a lock on it is the hub.
    fileprivate var lock: String { "\(directory)/hub.lock" }
    /// Who may come in, the directory and the system's word for the peer's user say.
    fileprivate var detached: DetachedPlace { DetachedPlace(id: String(repeating: "0", count: 32), socket: socket) }
}

/// Lets other controllers of this user in, each as ``GuestContext`` of its own: their tasks find `provided`.
package final class GuestDoor: Sendable {
    /// How many may be in one process at once.
    package static let guestLimit = 64

    private struct State {
        var door: Detachment?
        var guests: [ObjectIdentifier: GuestContext] = [:]
        var isClosed = false
    }

    package let place: HubPlace
    private let lock: Int32
    private let guests = Mutex(State())

    /// - Parameter onChange: told how many are in, when that has changed.
    /// - Throws: ``MartletError`` `refused` if somebody has the door open already, `noPlace` with what was tried.
    package init(
        _ places: [HubPlace], provided: any Sendable, onChange: @escaping @Sendable (Int) -> Void = { _ in }
    ) throws {
        let (place, lock) = try Self.take(places)
        (self.place, self.lock) = (place, lock)
        // What has that name now is nobody's.
        unlink(place.socket)
        let images = ImageStore(.ownExecutable(id: nil))
        do {
            let door = try Detachment(.shared, at: place.detached) { [weak self] source, nonce in
                self?.admit(source, nonce, images, provided, onChange) ?? false
            }
            guests.withLock { $0.door = door }
            door.start()
        } catch {
            close()
            throw error
        }
    }

    private static func take(_ places: [HubPlace]) throws -> (HubPlace, Int32) {
        var tried: [String] = []
        for place in places {
            let result = martlet_private_directory(place.directory)
            guard result == 0 else {
                tried.append("\(place.directory): \(SystemError.text(-result))")
                continue
            }
            let lock = open(place.lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
            guard lock >= 0 else {
                tried.append("\(place.lock): \(SystemError.text(errno))")
                continue
            }
            var (own, named) = (stat(), stat())
            // Who had it before may have removed it meanwhile.
            guard flock(lock, LOCK_EX | LOCK_NB) == 0, fstat(lock, &own) == 0, stat(place.lock, &named) == 0,
                own.st_ino == named.st_ino
            else {
                closeDescriptor(lock)
                throw MartletError(.refused, "a hub is there already, at \(place.socket)")
            }
            return (place, lock)
        }
        throw MartletError(
            .noPlace, "there is no private place for the hub's socket", detail: tried.joined(separator: "\n"))
    }

    private func admit(
        _ source: EventSource, _ nonce: String, _ images: ImageStore, _ provided: any Sendable,
        _ onChange: @escaping @Sendable (Int) -> Void
    ) -> Bool {
        let guest = GuestContext(.shared, images: images, provided: provided) { [weak self] guest in
            guard let self else { return }
            onChange(
                guests.withLock { state in
                    state.guests[ObjectIdentifier(guest)] = nil
                    return state.guests.count
                })
        }
        let count = guests.withLock { state -> Int? in
            guard !state.isClosed, state.guests.count < Self.guestLimit else { return nil }
            state.guests[ObjectIdentifier(guest)] = guest
            return state.guests.count
        }
        guard let count else { return false }
        onChange(count)
        guest.begin(source, nonce: nonce)
        return true
    }

    /// Lets nobody in any more, and ends what runs for those who are.
    package func close() {
        let (door, inside, isFirst) = guests.withLock { state in
            defer { (state.door, state.isClosed) = (nil, true) }
            return (state.door, Array(state.guests.values), !state.isClosed)
        }
        guard isFirst else { return }
        for guest in inside { guest.close() }
        // Before the directory, which goes if it is empty.
        unlink(place.lock)
        door?.close()
        closeDescriptor(lock)
    }
}

extension Controller {
    /// A context in this user's hub, if there is one.
    ///
    /// - Throws: ``MartletError``: it does not answer, has too many guests, or is of another build.
    package func connectHub(_ places: [HubPlace]) async throws -> Context? {
        for place in places {
            var status = stat()
            guard lstat(place.socket, &status) == 0, status.st_mode & S_IFMT == S_IFSOCK, status.st_uid == geteuid()
            else { continue }
            var options = ConnectOptions()
            options.deadline = .seconds(5)
            do {
                return try await connect(
                    DetachedConnector(place: place.detached, userID: geteuid(), name: "hub"), options: options)
            } catch let error as MartletError where error.code == .leaseEnded {
                // Nobody listens any more.
                continue
            } catch var error as MartletError where error.code == .handshakeFailed {
                error.message = "the hub at \(place.socket) is of another build of this program"
                error.advice = "end it by the build that started it; it ends by itself when it has nothing to do"
                throw error
            } catch var error as MartletError where error.code == .refused {
                error.message = "the hub at \(place.socket) has \(GuestDoor.guestLimit) guests already"
                error.advice = "try again, or do without it"
                throw error
            }
        }
        return nil
    }
}
