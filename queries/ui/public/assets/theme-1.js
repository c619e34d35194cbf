// Before the first paint, so that nothing flashes. Kept for a year by browsers: another name for another text.
try {
  const theme = localStorage.getItem("flagmeter.theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {}
