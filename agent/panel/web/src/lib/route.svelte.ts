// Which page is open, by the address's hash: `#/cameras/cam-1`.

class Route {
  page = $state("");
  about = $state("");
  /** Asked before another page is opened; false: stay. */
  guard: (() => boolean) | null = null;
  private shown = "";

  constructor() {
    this.read();
    addEventListener("hashchange", () => {
      if (location.hash === this.shown) return;
      if (this.guard && !this.guard()) {
        history.replaceState(null, "", this.shown === "" ? "#/" : this.shown);
        return;
      }
      this.read();
    });
  }

  private read(): void {
    this.shown = location.hash;
    const [page, about] = location.hash.replace(/^#\/?/, "").split("/");
    this.page = page ?? "";
    try {
      this.about = decodeURIComponent(about ?? "");
    } catch {
      this.about = "";
    }
  }
}

export const route = new Route();

export function go(page: string, about = ""): void {
  location.hash = `#/${page}${about === "" ? "" : `/${encodeURIComponent(about)}`}`;
}
